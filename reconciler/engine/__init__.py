"""The loop: the set of watchers, the work on one job, the looks at a host, the dispatch of actions."""
