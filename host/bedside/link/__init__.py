"""From a serial port to a board that one can talk to. Knows no network."""
