"""The public surface changes on purpose only: `scripts/api --write` updates the list, and its diff is reviewed."""

from __future__ import annotations

import difflib
import importlib
import re
import sys

import pytest

TOO_OLD = sys.version_info < (3, 11)
if TOO_OLD:
    pytest.skip("griffe needs Python 3.11 or newer", allow_module_level=True)

from tests.api.surface import COMMITTED, surface  # noqa: E402 - only where griffe runs

pytestmark = pytest.mark.once

# Where `Any` is right: JSON, an httpx2 transport, and `**keywords` that go to a typed function.
ANY = """
MossVoiceServer.__init__ MossVoiceServerSync.__init__ MossVoiceServer.from_env MossVoiceServer.lazy_from_env
MossVoiceServerSync.from_env MossVoiceServerSync.lazy_from_env testing.MockResponse.__init__
testing.FakeMoss.add_session_report testing.FakeMoss.arguments testing.FakeMoss.session_reports
testing.RecordedRequest.json testing.assert_token testing.decode_token
"""


def test_agreed() -> None:
    """The surface equals tests/api/public.txt."""
    agreed, found = COMMITTED.read_text(encoding="utf-8"), surface()
    change = "".join(difflib.unified_diff(agreed.splitlines(True), found.splitlines(True), "agreed", "found", n=0))
    assert not change, f"a public name changed; if that is intended, run `scripts/api --write`:\n{change}"


def test_importable() -> None:
    """Every name of the list can be imported from its module."""
    home = ""
    for line in COMMITTED.read_text(encoding="utf-8").splitlines():
        path = re.split("[:( ]", line, maxsplit=1)[0]
        if line == f"{path}: module":
            home = path
            continue
        name = path.removeprefix(f"{home}.").split(".")[0]
        assert hasattr(importlib.import_module(home), name), f"{home} has no {name}"


def test_no_private_type_and_no_any() -> None:
    """No public signature has a private type, or `Any` where another type would do."""
    found = re.findall(r"^moss_voice_server\.([\w.]+).*?(?:: |\[|, )(?:Any|_[A-Z][a-z]\w*)\b", surface(), re.MULTILINE)
    assert set() == set(found) - set(ANY.split())
