"""What the emulated Cortex-M3 has of its own where other boards have MicroPython's extmod: files, os, json, hashlib."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from cortex_m3 import board

pytestmark = pytest.mark.usefixtures("emulator")

JSON = [
    '{"a": [1, -2.5e1, true, false, null], "b": {}, "c": [], "d": {"e": "f"}}',
    " [ 0 , -0, 1E2, 1234567890123456789012 ] \n",
    '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4 \\ud83d\\ude00 ä"',
    "[" * 19 + "]" * 19,
    "7",
]
NO_JSON = [
    *(
        "",
        " ",
        "{",
        "[1,]",
        "[1 2]",
        '{"a"}',
        '{"a":}',
        '{"a":1,}',
        "{1:2}",
        "nul",
        "truely",
        "01",
        "+1",
        "-",
        "1.",
        ".5",
    ),
    *(
        "1e",
        "0x10",
        "NaN",
        '"',
        '"\n"',
        '"\\x41"',
        '"\\u12"',
        '"\\ud800"',
        '"\\ud800\\u0041"',
        '"\\udc00\\ud800"',
        "1 2",
    ),
    *("'a'", "[1]]", "[" * 21 + "]" * 21, "{'a':1}", "\0", "1\0"),
]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run a program's text on the Cortex-M3 with an empty folder as its flash; return what it printed, as JSON."""
    flash = tmp_path / "flash"
    flash.mkdir()
    monkeypatch.chdir(flash)

    def run(text: str) -> object:
        script = tmp_path / "script.py"
        script.write_text(text, encoding="utf-8")
        return json.loads(board.run(script))

    return run


def test_sha256_is_the_standards(told) -> None:  # type: ignore[no-untyped-def]
    sizes = [*range(130), 1000]
    digests = told(
        "import hashlib, json\nfrom binascii import hexlify\ndigests = []\n"
        f"for size in {sizes}:\n"
        "    data = bytes(k & 255 for k in range(size))\n"
        "    sha = hashlib.sha256(data[:size // 3])\n"
        "    sha.update(memoryview(data)[size // 3:])\n"
        "    sha.digest()\n"
        "    digests.append(hexlify(sha.digest()).decode())\n"
        "print(json.dumps(digests))"
    )
    assert digests == [hashlib.sha256(bytes(k & 255 for k in range(size))).hexdigest() for size in sizes]


def test_json_is_read_and_written_as_here(told) -> None:  # type: ignore[no-untyped-def]
    values = told(f"import json\nprint(json.dumps([json.loads(text) for text in {JSON!r}]))")
    assert values == [json.loads(text) for text in JSON]


def test_what_is_no_json_is_a_value_error(told) -> None:  # type: ignore[no-untyped-def]
    taken = told(
        "import json\ntaken = []\n"
        f"for text in {NO_JSON!r}:\n"
        "    try:\n        json.loads(text)\n        taken.append(text)\n"
        "    except ValueError: pass\n"
        "print(json.dumps(taken))"
    )
    assert taken == []


def test_files_are_the_hosts_and_errors_are_a_boards(told, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    result = told(
        "import os, json\nsaid = []\n"
        "def refused(function, *arguments):\n"
        "    try: function(*arguments)\n"
        "    except OSError as error: said.append(error.errno)\n"
        "    else: said.append(0)\n"
        "os.mkdir('folder')\n"
        "with open('folder/text', 'w') as file: file.write('zwölf\\n')\n"
        "with open('folder/text', 'a') as file: file.write('drei')\n"
        "with open('folder/text') as file: said.append([line for line in file])\n"
        "block = bytearray(4)\n"
        "with open('folder/text', 'rb') as file: said.append([file.readinto(block), block.hex(), file.read().hex()])\n"
        "os.rename('folder/text', 'text')\n"
        "said.append([sorted(os.ilistdir()), list(os.ilistdir('folder')), os.stat('text'), os.stat('folder')[0]])\n"
        "refused(open, 'nothing')\nrefused(open, 'folder')\nrefused(file.read)\nrefused(os.mkdir, 'folder')\n"
        "refused(os.mkdir, 'nothing/folder')\nrefused(os.remove, 'folder')\nrefused(os.rmdir, 'text')\n"
        "refused(os.remove, 'nothing')\nrefused(os.rename, 'nothing', 'text')\nrefused(os.ilistdir, 'text')\n"
        "refused(os.mkdir, \"a';touch b;'\")\nrefused(os.stat, 'nothing')\n"
        "os.rmdir('folder')\nos.remove('text')\nsaid.append(list(os.ilistdir('')))\n"
        "print(json.dumps(said))"
    )
    lines, block, listed, *errors, left = result
    assert lines == ["zwölf\n", "drei"]
    assert block == [4, "zwö".encode().hex(), b"lf\ndrei".hex()]
    size = len("zwölf\ndrei".encode())
    assert listed[:2] == [[["folder", 0x4000, 0, 0], ["text", 0x8000, 0, size]], []]
    assert listed[2:] == [[0x8000, 0, 0, 0, 0, 0, size, 0, 0, 0], 0x4000]
    assert errors == [2, 21, 9, 17, 2, 21, 20, 2, 2, 20, 22, 2]
    assert left == []
    assert list((tmp_path / "flash").iterdir()) == []
