"""Runs on a board whose REPL has the port, sent by ``bedside flash``: what is on it, and an update's steps."""

import hashlib
import json
import os
import sys
from binascii import hexlify

_FOLDER = 0x4000


def digest(path: str) -> str:
    """Return the file's SHA-256 as hexadecimal digits. Raises OSError."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            block = file.read(512)
            if not block:
                return hexlify(sha.digest()).decode()
            sha.update(block)


def files(folder: str) -> "dict[str, str]":
    """Return the SHA-256 of every file below ``folder``, by its path there; an empty folder is told as "path/"."""
    found = {}
    for entry in os.ilistdir(folder):
        name, kind = entry[:2]
        if kind == _FOLDER:
            inner = files(folder + "/" + name) or {"": ""}
            found.update({name + "/" + path: inner[path] for path in inner})
        else:
            found[name] = digest(folder + "/" + name)
    return found


def text(path: str) -> str:
    """Return what stands in the file, or nothing."""
    try:
        with open(path) as file:
            content: str = file.read()
            return content
    except (OSError, ValueError):
        return ""  # none, or none that is text


def is_whole(slot: str, there: "dict[str, str]") -> bool:
    """Return whether the loader would run what is in ``slot``, whose files' SHA-256 are ``there``."""
    try:
        stated = json.loads(text(slot + "/manifest.json"))["files"]
        for path in stated:
            if there[path] != stated[path]["sha256"]:
                return False
        return len(there) == len(stated) + 1
    except (ValueError, KeyError, TypeError):
        return False


def remove(path: str) -> None:
    """Remove the file if there is one."""
    try:
        os.remove(path)
    except OSError:
        pass


def survey() -> None:
    """Print what this board is, which .mpy files it can load, and what is on it, as JSON."""
    slots = {}
    for slot in ("a", "b"):
        try:
            slots[slot] = files(slot)
        except OSError:
            slots[slot] = {}
    try:
        loader = digest("main.py")
    except OSError:
        loader = ""
    roles = {slot: text(slot + "/board.json") for slot in slots}
    version = sys.implementation[1][:3]  # type: ignore[index]
    machine = getattr(sys.implementation, "_machine", sys.platform)
    # Version and sub-version; above them is the instruction set.
    mpy = getattr(sys.implementation, "_mpy", 0) & 0x3FF
    whole = [slot for slot in slots if is_whole(slot, slots[slot])]
    print(json.dumps([sys.platform, machine, version, mpy, loader, text("active"), slots, whole, roles]))


def prepare(slot: str, keep: "list[str]", folders: "list[str]") -> None:
    """Make ``slot`` ready to be written: what is there is no firmware from now on, and only ``keep`` stays."""
    remove(slot + "/manifest.json")
    try:
        clear(slot, [slot + "/" + path for path in keep])
    except OSError:
        pass  # there is no such folder yet
    for folder in [slot] + folders:
        try:
            os.mkdir(folder)
        except OSError:
            pass


def clear(folder: str, keep: "list[str]") -> None:
    """Remove every file below ``folder`` but those to ``keep``, and the folders that are empty then."""
    for entry in list(os.ilistdir(folder)):
        path = folder + "/" + entry[0]
        if entry[1] == _FOLDER:
            clear(path, keep)
            try:
                os.rmdir(path)
            except OSError:
                pass  # not empty
        elif path not in keep:
            remove(path)


def replace(new: str, old: str) -> None:
    """Put the file ``new`` in the place of ``old``, at once where the file system can."""
    try:
        os.rename(new, old)
    except OSError:
        remove(old)
        os.rename(new, old)


def activate(slot: str, manifest: str, loader: str) -> None:
    """Let the loader run what is in ``slot`` from the next reset on, if both are as they were sent."""
    new = "main.py.new"
    if digest(slot + "/manifest.json") != manifest:
        raise ValueError("the manifest is not whole")
    if not loader_is(loader):
        if digest(new) != loader:
            raise ValueError("the loader is not whole")
        replace(new, "main.py")
    with open("active.new", "w") as file:
        file.write(slot)
    replace("active.new", "active")


def loader_is(stated: str) -> bool:
    """Return whether the board has this loader already."""
    try:
        return digest("main.py") == stated
    except OSError:
        return False
