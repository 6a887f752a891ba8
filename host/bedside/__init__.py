"""Bedside: the patient's end of a telesurgery robot."""

__version__ = "0.1.0"
