"""Puts MicroPython, firmware and configuration on boards, and finds out what is on them."""
