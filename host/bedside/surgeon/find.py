"""Which credentials a command uses when none are named, and those of a demonstration that nobody else is to join."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bedside.errors import SurgeonError
from bedside.places import config_directory
from bedside.surgeon.authority import BRIDGE
from bedside.surgeon.credentials import CERTIFICATE, CONSOLES, Credentials, load_certificate, load_credentials, peer_of


def find_credentials(folder: Path | None, is_bridge: bool) -> Credentials:
    """Return the credentials in ``folder``, else the only ones issued here to a bridge, or a console.

    Raises SurgeonError, which says how to make some, or which there are to choose from.
    """
    if folder is None:
        folder = _only_one(config_directory() / "issued", is_bridge)
    credentials = load_credentials(folder)
    if (credentials.role == BRIDGE) != is_bridge:
        wanted = "a bridge's" if is_bridge else "a console's"
        raise SurgeonError(
            f"{folder}: the credentials of '{credentials.name}', a {credentials.role}; {wanted} are needed"
        )
    return credentials


def issue_for_once(folder: Path, roles: dict[str, str]) -> None:
    """Make a site in ``folder``, and credentials beside it for these names, good for a day. Raises SurgeonError."""
    from bedside.surgeon.site import Site, make_site

    now = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    make_site(folder / "site", "site", now)
    site = Site(folder / "site", now)
    for name, role in roles.items():
        site.issue(name, role, 1, folder / name)


def _only_one(issued: Path, is_bridge: bool) -> Path:
    roles = (BRIDGE,) if is_bridge else CONSOLES
    found = [
        folder
        for folder in (sorted(issued.iterdir()) if issued.is_dir() else [])
        if (folder / CERTIFICATE).is_file() and peer_of(load_certificate(folder / CERTIFICATE)).role in roles
    ]
    if len(found) == 1:
        return found[0]
    make = "'bedside keys bridge NAME'" if is_bridge else "'bedside keys console NAME --role surgeon'"
    if not found:
        raise SurgeonError(f"no credentials in {issued}: make a site with 'bedside keys site', then {make}")
    raise SurgeonError(f"several credentials: name one with --credentials: {', '.join(map(str, found))}")
