"""Where specs come from, one file per kind."""
