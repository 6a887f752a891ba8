"""What bad networks do to an arm: `make wan`."""
