"""How a host is reached, one file per kind."""
