"""The command `reconcile`, one file per subcommand."""
