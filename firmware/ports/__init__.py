"""What touches hardware: one small file a chip family, all with the ``Port`` class that ``sim.py`` documents."""

# What Port.wait() found to do.
TICK = 1
BYTES = 2
