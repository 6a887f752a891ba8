"""Prints the AES-CMAC of each message that is given, by the firmware's own code. Runs on CPython and MicroPython.

The arguments are the key and the messages, in hexadecimal, a message between brackets.
"""

import sys

from cryptolib import aes

from proof import cmac, subkeys


def macs(key, messages):
    """Return the MAC of each message in hexadecimal, and first the subkeys."""
    cipher = aes(key, 1)
    keys = subkeys(cipher)
    block, mac = bytearray(16), bytearray(16)
    found = ["".join(["{:02x}".format(byte) for byte in keys])]
    for message in messages:
        cmac(cipher, keys, bytearray(message + bytes(64)), len(message), block, mac)
        found.append("".join(["{:02x}".format(byte) for byte in mac]))
    return found


if __name__ == "__main__":
    for line in macs(bytes.fromhex(sys.argv[1]), [bytes.fromhex(text[1:-1]) for text in sys.argv[2:]]):
        print(line)
