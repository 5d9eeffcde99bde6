"""Pure decisions: diff and plan, lines, matching, substitution, conditions, transitions, limits."""
