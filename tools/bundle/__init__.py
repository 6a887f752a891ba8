"""One archive with all that a computer without a network needs to run Bedside."""
