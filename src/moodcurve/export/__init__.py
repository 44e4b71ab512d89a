"""Writing curves, in many formats, and reading them back."""
