"""What users write: models, loading with file:line:column, JSON Schema."""
