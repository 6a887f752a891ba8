from __future__ import annotations

from pathlib import Path

import pytest

from bedside.errors import SurgeonError
from bedside.surgeon.authority import BRIDGE, SURGEON
from bedside.surgeon.find import find_credentials, issue_for_once
from bedside.surgeon.site import Site


def test_the_only_credentials_of_the_kind_are_taken(site: Site) -> None:
    site.issue("psm1", BRIDGE, 1)
    site.issue("alice", SURGEON, 1)
    assert find_credentials(None, is_bridge=True).name == "psm1"
    assert find_credentials(None, is_bridge=False).name == "alice"


def test_none_says_how_to_make_some(config: Path) -> None:
    with pytest.raises(SurgeonError, match=r"'bedside keys site', then 'bedside keys bridge NAME'"):
        find_credentials(None, is_bridge=True)
    with pytest.raises(SurgeonError, match="'bedside keys console NAME --role surgeon'"):
        find_credentials(None, is_bridge=False)


def test_several_are_named_to_choose_from(site: Site) -> None:
    for name in ("alice", "bob"):
        site.issue(name, SURGEON, 1)
    with pytest.raises(SurgeonError, match=r"several credentials: name one with --credentials: .*alice, .*bob"):
        find_credentials(None, is_bridge=False)


def test_credentials_of_the_other_kind_are_refused(tmp_path: Path) -> None:
    issue_for_once(tmp_path, {"psm1": BRIDGE, "alice": SURGEON})
    with pytest.raises(SurgeonError, match="credentials of 'psm1', a bridge; a console's are needed"):
        find_credentials(tmp_path / "psm1", is_bridge=False)
    with pytest.raises(SurgeonError, match="credentials of 'alice', a surgeon; a bridge's are needed"):
        find_credentials(tmp_path / "alice", is_bridge=True)
