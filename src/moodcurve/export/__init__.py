"""Writing curves: tables, what made them, pictures."""
