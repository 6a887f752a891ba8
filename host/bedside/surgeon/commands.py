"""``bedside keys`` for a site: its authority, and the credentials of its bridges and consoles."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bedside.surgeon.credentials import BRIDGE, CONSOLES

if TYPE_CHECKING:
    from bedside.surgeon.site import Issued


def add_keys(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the kinds of a site to those of ``bedside keys``."""
    site = kinds.add_parser("site", help="make a site: the authority over its bridges and consoles")
    site.add_argument("--name", default="site", help="shown in its certificates (default: site)")
    site.add_argument("--folder", type=Path, metavar="FOLDER", help="default: ~/.config/bedside/site")
    site.set_defaults(run=_site)

    bridge = kinds.add_parser("bridge", help="issue a bridge's credentials")
    # Two years and a quarter: renewed with the yearly service, even if one is missed.
    _add_issue(bridge, 825)
    bridge.set_defaults(run=_issue, role=BRIDGE)

    console = kinds.add_parser("console", help="issue a console's credentials")
    console.add_argument("--role", choices=CONSOLES, required=True)
    _add_issue(console, 365)
    console.set_defaults(run=_issue)

    revoke = kinds.add_parser("revoke", help="take back everything that was issued to a name")
    revoke.add_argument("name", metavar="NAME")
    _add_site(revoke)
    revoke.set_defaults(run=_revoke)

    everything = kinds.add_parser("list", help="list what the site has issued")
    _add_site(everything)
    everything.set_defaults(run=_list)

    check = kinds.add_parser("check", help="say whether a folder of credentials is sound")
    check.add_argument("folder", type=Path, metavar="FOLDER")
    check.set_defaults(run=_check)


def _add_issue(parser: argparse.ArgumentParser, days: int) -> None:
    parser.add_argument("name", metavar="NAME", help="letters, digits, '-', '_' and '.', at most 32")
    parser.add_argument("--days", type=int, default=days, help=f"until it expires (default {days})")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: ~/.config/bedside/issued/NAME")
    parser.add_argument("--again", action="store_true", help="renew: revoke what the name has, keep its proof key")
    _add_site(parser)


def _add_site(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", type=Path, metavar="FOLDER", help="default: the one that 'bedside keys site' made")


def _site(arguments: argparse.Namespace) -> None:
    from bedside.surgeon.site import SITE_KEY, make_site, site_folder

    folder = arguments.folder or site_folder()
    make_site(folder, arguments.name, _now())
    sys.stdout.write(
        f"site '{arguments.name}': {folder}\n"
        f"Keep a copy offline, and let nobody have {SITE_KEY}: whoever has it decides who moves your arms.\n"
        "Next: 'bedside keys bridge NAME', then 'bedside keys console NAME --role ROLE'.\n"
    )


def _issue(arguments: argparse.Namespace) -> None:
    from bedside.surgeon.credentials import date
    from bedside.surgeon.site import Site, site_folder

    site = Site(arguments.site or site_folder(), _now())
    made = site.issue(arguments.name, arguments.role, arguments.days, arguments.output, arguments.again)
    before = " (begun by an earlier run, now finished)" if made.finished else ""
    sys.stdout.write(
        f"{made.folder}: '{arguments.name}', {arguments.role}, until "
        f"{date(made.certificate.not_valid_after_utc)}{before}\n{_words(made)}"
        "Carry the folder to its computer by a way that nobody else reads, such as a stick.\n"
    )


def _words(made: Issued) -> str:
    """Return what a person has to do besides."""
    from bedside.surgeon.credentials import REVOKED

    proof = {"new": "The proof key is new: give it to the boards.\n", "kept": "The proof key is the old one.\n", "": ""}
    revoked = f"The certificate before is revoked: give the new {REVOKED} to the others, too.\n" if made.revoked else ""
    return proof[made.proof] + revoked


def _revoke(arguments: argparse.Namespace) -> None:
    from bedside.surgeon.credentials import REVOKED
    from bedside.surgeon.site import Site, site_folder

    folder = arguments.site or site_folder()
    spread = Site(folder, _now()).revoke(arguments.name)
    many = len(spread.revoked)
    said = f"{many} certificate{'s'[: many != 1]} revoked" if many else "was revoked before"
    sys.stdout.write(f"'{arguments.name}': {said}\n")
    sys.stdout.write("".join(f"has the new {REVOKED}: {place}\n" for place in spread.updated))
    if spread.deceived:
        sys.stdout.write(
            f"copy {folder / REVOKED} into the credentials of {', '.join(spread.deceived)}: until then they believe "
            f"'{arguments.name}'\n"
        )


def _list(arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from bedside.surgeon.site import Site, site_folder

    now = _now()
    entries = Site(arguments.site or site_folder(), now).entries
    if not entries:
        sys.stdout.write("nothing issued yet; 'bedside keys bridge NAME' and 'bedside keys console NAME' do\n")
        return
    table = Table("name", "role", "serial", "issued", "expires", "state", box=None, pad_edge=False)
    for entry in entries:
        certificate = entry.certificate
        dates = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        serial = f"{entry.peer.serial:x}"[:8]
        state = f"revoked {entry.revoked:%Y-%m-%d}" if entry.revoked else entry.state(now)
        cells = (entry.peer.name, entry.peer.role, serial, *(f"{when:%Y-%m-%d}" for when in dates), state)
        table.add_row(*map(Text, cells))
    Console(highlight=False, markup=False).print(table)


def _check(arguments: argparse.Namespace) -> None:
    from bedside.surgeon.credentials import date, load_credentials

    found = load_credentials(arguments.folder)
    end = date(found.certificate.not_valid_after_utc)
    sys.stdout.write(f"{arguments.folder}: sound; '{found.name}', {found.role}, until {end}\n")


def _now() -> datetime:
    return datetime.now(UTC)
