"""Fixtures: a user with a signing key, and firmware small enough to be compiled often."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bedside.flash import package
from bedside.flash.keys import load_signing_key, make_key, signing_key_path, trusted_keys
from bedside.flash.package import Package, build_package, load_package

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this user's keys, empty."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "bedside"


@pytest.fixture
def key(config: Path) -> Ed25519PrivateKey:
    make_key(signing_key_path())
    return load_signing_key(signing_key_path())


@pytest.fixture
def firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of Bedside's own: firmware as Bedside's is laid out, with a port for each chip family."""
    sources = {
        "main.py": "import ports\n",
        "loader.py": "import program\n",
        "core/__init__.py": "",
        "core/sum.py": "import micropython\n\n\n@micropython.viper\ndef add(a: int) -> int:\n    return a + a\n",
        "ports/__init__.py": "TICK = 1\n",
        "ports/sim.py": "from ports import TICK\nfrom ports.harness import Harness\n",
        "ports/mps2.py": "from .harness import Harness\n",
        "ports/harness.py": "class Harness:\n    pass\n",
        "ports/rp2.py": "def open_board():\n    from ports import pio\n    import ports.bench\n",
        "ports/pio.py": "import rp2\n",
        "ports/esp32.py": "import ports.bench, machine\n",
        "ports/bench.py": "from ports.motor import Motor\n",
        "ports/motor.py": "class Motor:\n    pass\n",
    }
    root = tmp_path / "sources"
    for name, text in sources.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(package, "FIRMWARE", root)
    return root


@pytest.fixture
def pack(tmp_path: Path, key: Ed25519PrivateKey, firmware: Path) -> Callable[..., Path]:
    """Make a package of the small firmware; return its folder."""

    def make(chip: str, image: bytes | None = None, name: str = "image.bin") -> Path:
        folder = tmp_path / f"package-{chip}"
        micropython = None
        if image is not None:
            micropython = tmp_path / name
            micropython.write_bytes(image)
        build_package(chip, folder, micropython, key)
        return folder

    return make


@pytest.fixture
def package_for(pack: Callable[..., Path]) -> Callable[..., Package]:
    """Make a package and load it again, verified."""

    def make(chip: str, image: bytes | None = None, name: str = "image.bin") -> Package:
        return load_package(pack(chip, image, name), trusted_keys())

    return make
