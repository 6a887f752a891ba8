"""What goes onto boards: keys, signed packages, and how MicroPython gets onto each chip family."""
