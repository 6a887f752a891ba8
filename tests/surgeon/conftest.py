"""Fixtures: a user with a site, and credentials of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bedside.surgeon.credentials import Credentials, load_credentials
from bedside.surgeon.site import Site, make_site, site_folder

Issue = Callable[[str, str], Credentials]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this user's keys, empty."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "bedside"


@pytest.fixture
def site(config: Path) -> Site:
    """A site that was made a month ago, so that things may have expired."""
    now = datetime.now(UTC)
    make_site(site_folder(), "lab", now - timedelta(days=30))
    return Site(site_folder(), now)


@pytest.fixture
def issue(site: Site) -> Issue:
    """What issues credentials to a name and a role, and reads them."""
    return lambda name, role: load_credentials(site.issue(name, role, 1).folder)
