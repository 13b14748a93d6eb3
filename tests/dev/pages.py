"""The page in a browser: open it, join a room, and read what it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from moss_voice_server._dev import browser_client as client
from tests.dev.chromium import Browser, Page
from tests.dev.program import Dev
from tests.livekit.server_api import LiveKitKeys

READY = "document.body.dataset.ready === 'true'"
STATE = "document.getElementById('state').dataset.state"
LOUD = 30  # of 100 on a meter: -42 dB
NO_PROBLEM = "document.getElementById('problem').hidden"
# The page's ten seconds of patience with an agent are over at once.
HURRY = "{ const real = setTimeout; window.setTimeout = (work, ms) => real(work, ms === 10000 ? 100 : ms); true }"


@contextmanager
def opened(browser: Browser, url: str, **how: Any) -> Iterator[Page]:
    """The page, ready; all its requests stay on this machine, and no error is unseen."""
    with browser.page(url, **how) as page:
        page.wait(READY)
        yield page
        seen = page.seen()
    assert [] == [address for address in seen.requests if not address.startswith(("http://127.0.0.1:", client.CDN))]
    assert [] == [line for line in seen.console if "uncaught" in line or "Content Security Policy" in line]


def joined(page: Page, *, agent: bool = True) -> str:
    """Join, wait until in (and for the agent), and return the room."""
    page.click("#join-button")
    page.wait(f"{STATE} === 'joined'")
    if agent:
        page.wait_for_text("#state", "In the room, with Echo")
    return fact(page, "Room")


def left(page: Page) -> None:
    """Leave."""
    page.click("#leave-button")
    page.wait(f"{STATE} === 'idle'")


def fact(page: Page, name: str) -> str:
    """A fact of the token panel."""
    facts: dict[str, str] = page.value(
        "Object.fromEntries([...document.querySelectorAll('dt')].map((each) => [each.innerText, each.nextSibling.innerText]))"
    )
    return facts[name]


def steps(page: Page) -> list[str]:
    """The states of the steps in the picture."""
    states: list[str] = page.value(
        "[...document.querySelectorAll('#picture li')].map((each) => each.dataset.state ?? '')"
    )
    return states


def problem(page: Page) -> str:
    """The problem that the page shows, and the remedy."""
    page.wait(f"!{NO_PROBLEM}")
    return page.text("#problem")


def loud(meter: str) -> str:
    """Whether a meter shows a voice."""
    return f"Number(document.getElementById('{meter}').ariaValueNow) > {LOUD}"


def refusing(status: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """An answer to a request, in the driver's words."""
    return {"status": status, "contentType": "application/json", "body": json.dumps(body)}


def keys(running: Dev) -> LiveKitKeys:
    """The LiveKit server that `dev` has started."""
    url, key, secret = running.livekit_environ.values()
    return LiveKitKeys(url.replace("ws", "http", 1), key, secret)
