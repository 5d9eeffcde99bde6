"""Where jobs live, one file per kind."""
