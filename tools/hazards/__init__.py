"""Writes the tables of docs/hazards.md: hazards, requirements, and the tests that show them."""
