"""The HTTP face of the daemon: REST, WebSocket, Prometheus; closed to strangers. See README.md in this folder.

Nothing is imported here: `reconcile apikey` needs the keys alone, and `reconcile --once` nothing of it.
"""
