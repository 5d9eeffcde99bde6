"""Runtime state in SQLite; the SQLModel tables stay inside this room."""
