"""The emulated Cortex-M3: MicroPython as 32-bit Thumb-2 in QEMU, from the same sources as the unix port's package."""
