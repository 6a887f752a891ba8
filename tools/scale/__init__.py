"""How many boards one computer bears: arms of up to eight boards at 1 kHz, measured and run for long."""
