"""Simulated boards: the real interpreter running the real firmware, with motors that obey physics behind it."""
