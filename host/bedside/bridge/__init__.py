"""The arm: pacing, and fan-out to its boards."""
