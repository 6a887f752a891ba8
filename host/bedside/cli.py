"""The `bedside` command."""
