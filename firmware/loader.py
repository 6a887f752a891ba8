"""Stands on a board as /main.py and runs what was flashed, if every byte of it is as its manifest says.

There are two places for firmware, ``a`` and ``b``, so that one is whole while the other is written; ``active`` names
the one to run. Where neither is whole nothing runs: every pin stays as the reset left it, the REPL has the port, and
``bedside flash`` mends it.
"""

import hashlib
import json
import os
import sys
from binascii import hexlify

SLOTS = ("a", "b")
_FOLDER = 0x4000


def sha256(path: str, block: bytearray) -> str:
    """Return the file's SHA-256 as hexadecimal digits; ``block`` is where it is read to. Raises OSError."""
    digest = hashlib.sha256()
    view = memoryview(block)
    with open(path, "rb") as file:
        while size := file.readinto(block):
            digest.update(view[:size])
    return hexlify(digest.digest()).decode()


def build_in(slot: str) -> str:
    """Return the build in ``slot``, 16 digits of its manifest's SHA-256. Raises OSError or ValueError unless whole."""
    block = bytearray(512)
    with open(slot + "/manifest.json") as file:
        manifest = json.load(file)
    for path, stated in manifest["files"].items():
        if sha256(slot + "/" + path, block) != stated["sha256"]:
            raise ValueError(path + " is not as its manifest says")
    nothing_besides(slot, "", ["manifest.json"] + list(manifest["files"]))
    return sha256(slot + "/manifest.json", block)[:16]


def nothing_besides(slot: str, folder: str, listed: "list[str]") -> None:
    """Raise ValueError if there is more than is ``listed``: MicroPython would import x.py, or a folder x, for x.mpy."""
    for entry in os.ilistdir(slot + "/" + folder if folder else slot):
        path = folder + entry[0]
        if entry[1] == _FOLDER and any([name.startswith(path + "/") for name in listed]):
            nothing_besides(slot, path + "/", listed)
        elif path not in listed:
            raise ValueError(path + " is none of its manifest's")


def preferred() -> "tuple[str, ...]":
    """Return the slots in the order in which to try them."""
    try:
        with open("active", "rb") as file:
            return ("b", "a") if file.read(1) == b"b" else SLOTS
    except OSError:
        return SLOTS


def program(slot: str):  # type: ignore[no-untyped-def]
    """Return the program in ``slot``, imported from there and nowhere else. What cannot be imported leaves nothing."""
    others = list(sys.modules)
    # Not from the folder above, where anything may lie.
    sys.path[:] = [slot, ".frozen"]
    try:
        return __import__("program")
    except Exception:
        for name in list(sys.modules):
            if name not in others:
                del sys.modules[name]
        raise


def load() -> None:
    """Run the first slot that is whole and can be run by this MicroPython."""
    for slot in preferred():
        try:
            build = build_in(slot)
            main = program(slot).main
        except Exception as error:
            print("bedside: firmware", slot, "is not whole:", repr(error))
            continue
        # Behind the configuration's path a simulated board is told where its motors are.
        main(slot + "/board.json", *sys.argv[2:], build=build)
        return
    print("bedside: no whole firmware here, so nothing runs; 'bedside flash' mends it")


if __name__ == "__main__":
    load()
