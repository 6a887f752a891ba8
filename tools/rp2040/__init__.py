"""The emulated RP2040: a MicroPython for the Pico, given as a UF2 file, with our firmware's RP2 parts on it."""
