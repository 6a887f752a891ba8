"""The stop campaign: every kind of failure, injected into a moving arm, and what the arm does about it."""
