"""The network side of the arm, and the console that speaks to it."""
