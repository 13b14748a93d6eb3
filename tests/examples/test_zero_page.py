"""From zero to a talking page: the page's backend and HTML, in Chromium, with a real LiveKit server and a worker."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.testing import LiveKitServer
from tests.clients.npm import installed
from tests.dev.chromium import chromium
from tests.examples.serving import serving
from tests.examples.walk import ROOT, fake_moss
from tests.livekit.signalling import join
from tests.livekit.worker import worker
from tests.test_readme import blocks

PAGE = ROOT / "docs" / "zero-to-page.md"
CDN = "https://cdn.jsdelivr.net/npm/livekit-client@2/dist/livekit-client.esm.mjs"
# The test knows the room, and skips the browser's login dialog.
TEST_LINES = """
app.dependency_overrides[current_user] = lambda: "ada"
app.dependency_overrides[authorize] = lambda: Admission(ParticipantInfo("ada"), room="from-zero")
"""


@pytest.mark.livekit
def test_page_talks(livekit_server: LiveKitServer, tmp_path: Path) -> None:
    """The button joins a room, LiveKit dispatches the voice agent there, and the page shows who joins."""
    client = installed(ROOT / "tests" / "clients" / "node") / "node_modules/livekit-client/dist/livekit-client.esm.mjs"
    headers = {"Access-Control-Allow-Origin": "*"}
    answers = {CDN: {"file": str(client), "contentType": "text/javascript", "headers": headers}}
    code = {
        block.language: block.text for block in blocks(PAGE) if "FastAPI()" in block.text or block.language == "html"
    }
    (tmp_path / "app.py").write_text(code["python"] + TEST_LINES, encoding="utf-8")
    (tmp_path / "index.html").write_text(code["html"], encoding="utf-8")
    uvicorn = (str(Path(sys.executable).parent / "uvicorn"), "app:app", "--port=0")

    with (
        fake_moss(livekit_server) as moss,
        worker(livekit_server, moss.credentials["voice_agent_name"]) as agent,
        serving(uvicorn, tmp_path, {**moss.environ, "ADA_PASSWORD": "correct-horse"}) as url,
        chromium(tmp_path) as browser,
        browser.page(url, answers=answers) as page,
    ):
        page.click("#talk")
        assert "from-zero" == agent.job("from-zero").room.name
        server = MossVoiceServerSync.from_env(moss.environ)
        with join(livekit_server.url, server.create_participant_token(ParticipantInfo("bob", name="Bob"), "from-zero")):
            page.wait_for_text("#status", "Bob joined")
