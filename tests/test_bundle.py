"""What lies in the archive that `make bundle` makes, and what its installer says before it installs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from bedside import cli
from bedside.cell import load_cell
from bundle.contents import lay_out

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
_BLOCK = re.compile(r"^```\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An unpacked bundle, but for its wheels."""
    folder = tmp_path / "bedside"
    lay_out(folder)
    return folder


def install(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "install.sh", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def a_python(folder: Path, body: str) -> str:
    program = folder / "some-python"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(program)


def test_every_link_of_its_documentation_leads_somewhere(folder: Path) -> None:
    links = [(page, link) for page in folder.rglob("*.md") for link in _LINK.findall(page.read_text())]
    assert len(links) > 30
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_every_command_of_its_readme_is_one_and_its_cell_files_are_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    blocks = "".join(_BLOCK.findall((folder / "README.md").read_text()))
    lines = [shlex.split(line, comments=True) for line in blocks.splitlines() if line]
    commands = [line[1:] for line in lines if line[0] == ".venv/bin/bedside"]
    assert {line[0] for line in lines} == {"./install.sh", ".venv/bin/bedside"}
    assert {command[0] for command in commands} >= {"demo", "doctor", "sim", "bridge", "drive", "keys", "flash"}
    for command in commands:
        arguments = cli._parser().parse_args(command)
        for cell in (word for word in command if word.endswith(".toml")):
            assert load_cell(Path(cell)).arm.name
        assert arguments.command == command[0]


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_installer_says_how_it_is_used(folder: Path, option: str) -> None:
    done = install(folder, option)
    assert done.returncode == 0
    assert "[FOLDER]" in done.stdout
    assert not (folder / option).exists()


@pytest.mark.parametrize("words", [["--prefix"], ["-x"], ["one", "two"]])
def test_what_the_installer_does_not_know_it_refuses(folder: Path, words: list[str]) -> None:
    before = sorted(folder.iterdir())
    done = install(folder, *words)
    assert done.returncode == 1
    assert words[-1] in done.stderr
    assert "[FOLDER]" in done.stderr
    assert sorted(folder.iterdir()) == before


def test_a_folder_with_something_else_in_it_is_left_alone(folder: Path) -> None:
    done = install(folder, "docs")
    assert done.returncode == 1
    assert "docs: there is something else in it" in done.stderr
    assert not (folder / "docs" / "bin").exists()


def test_a_python_that_is_not_there_is_named_with_what_to_do(folder: Path) -> None:
    done = install(folder, PYTHON="python-of-nobody")
    assert done.returncode == 1
    assert done.stderr.startswith(f"python-of-nobody is no Python here; install Python {HERE}")


def test_another_python_than_the_wheels_is_named_with_both_versions(folder: Path) -> None:
    old = a_python(folder, 'printf "3.9 linux-x86_64"')
    done = install(folder, PYTHON=old)
    assert done.returncode == 1
    assert f"{old} is Python 3.9 linux-x86_64, and this is for {HERE} {sysconfig.get_platform()}" in done.stderr
    assert f"PYTHON=python{HERE}" in done.stderr


def test_a_python_without_venv_is_told_which_package_it_lacks(folder: Path) -> None:
    bare = a_python(folder, f'case $2 in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"')
    done = install(folder, PYTHON=bare)
    assert done.returncode == 1
    assert f"{bare} has no venv" in done.stderr
    assert f"python{HERE}-venv" in done.stderr
    assert not (folder / ".venv").exists()
