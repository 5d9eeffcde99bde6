"""Runtime state in SQLite; the SQLModel tables stay inside this room."""

from reconciler.state.database import open_readonly, open_state
from reconciler.state.requests import add_request
from reconciler.state.thread import StateThread

__all__ = ["StateThread", "add_request", "open_readonly", "open_state"]
