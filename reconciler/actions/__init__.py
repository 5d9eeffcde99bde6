"""What a trigger can do, one file per type."""
