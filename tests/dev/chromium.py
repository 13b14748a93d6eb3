"""Chromium: a headless browser with a made-up voice at its microphone, and its pages; driven by `browser/driver.mjs`."""

from __future__ import annotations

import json
import math
import os
import select
import shutil
import subprocess
import wave
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.clients.npm import installed
from tests.livekit.needs import absent

_HERE = Path(__file__).parent / "browser"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_LONGEST = 60.0  # seconds for one command of the driver; only one that hangs comes near it
PATIENCE = 20.0  # seconds within which something must be seen on a page; it usually takes some milliseconds
DESK = (1280, 900)
PHONE = (360, 740)

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No name resolves but this machine's: nothing can be requested elsewhere.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)
_RATE = 48_000


class Seen(NamedTuple):
    """A page's console output (errors, warnings) and requests."""

    console: list[str]
    requests: list[str]


class Page:
    """One page in its own browser context. Scripts are JavaScript expressions."""

    def __init__(self, browser: Browser, number: int) -> None:
        self._browser = browser
        self._number = number

    def value(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        return self._do("value", script=script)

    def text(self, selector: str) -> str:
        return self.value(f"document.querySelector({json.dumps(selector)}).innerText")

    def wait(self, script: str, seconds: float = PATIENCE) -> Any:
        """The value of an expression, as soon as it is true."""
        return self._do("wait", script=script, seconds=seconds)

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until an element shows this text somewhere."""
        self.wait(f"document.querySelector({json.dumps(selector)}).innerText.includes({json.dumps(text)})")

    def click(self, selector: str) -> None:
        self._do("click", selector=selector)

    def type(self, selector: str, text: str) -> None:
        self._do("type", selector=selector, text=text)

    def press(self, *keys: str) -> None:
        self._do("press", keys=keys)

    def choose(self, selector: str, value: str) -> None:
        self._do("choose", selector=selector, value=value)

    def allow_microphone(self) -> None:
        """Grant the permission, as a user does in the address bar."""
        self._do("allow", microphone="granted")

    def look(self, size: tuple[int, int], *, dark: bool) -> None:
        self._do("look", width=size[0], height=size[1], dark=dark)

    def shoot(self, path: Path) -> None:
        """Take a picture of the whole page."""
        self._do("shoot", path=str(path), whole=True)

    def serious_findings(self) -> list[list[str]]:
        return [finding for finding in self._do("judge") if finding[0] in ("serious", "critical")]

    def seen(self) -> Seen:
        """Its console output and requests so far."""
        return Seen(**self._do("seen"))

    def close(self) -> None:
        self._do("close")

    def _do(self, command: str, **arguments: Any) -> Any:
        return self._browser.do(command, page=self._number, **arguments)


class Browser:
    """A running Chromium."""

    def __init__(self, driver: subprocess.Popen[bytes]) -> None:
        self._driver = driver

    @contextmanager
    def page(
        self, url: str, *, microphone: str = "granted", answers: Mapping[str, Any] | None = None
    ) -> Iterator[Page]:
        """A page at `url`; `microphone` is `granted` or `denied`; `answers` are responses by URL, `None` for no network."""
        size = {"width": DESK[0], "height": DESK[1], "dark": False}
        page = Page(self, self.do("open", url=url, microphone=microphone, answers=answers, **size))
        try:
            yield page
        finally:
            page.close()

    def do(self, command: str, **arguments: Any) -> Any:
        """Let the driver do one thing and return its answer."""
        pipe = self._driver.stdin, self._driver.stdout
        assert pipe[0] is not None
        assert pipe[1] is not None
        pipe[0].write(json.dumps({"command": command, **arguments}).encode() + b"\n")
        pipe[0].flush()
        ready, _, _ = select.select([pipe[1]], [], [], _LONGEST)
        assert ready, f"the browser did not {command} within {_LONGEST:g} s"
        answer = json.loads(pipe[1].readline())
        assert "error" not in answer, f"{command}: {answer['error']}"
        return answer["value"]


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser while the context lasts; `folder` holds its profile and its voice."""
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if program is None:
        absent("Chromium is needed to look at the local page: install the package `chromium`")
    packages = installed(_HERE)
    voice = folder / "voice.wav"
    write_voice(voice)
    command = ["node", str(_HERE / "driver.mjs"), program, str(folder / "profile"), *_FLAGS]
    driver = subprocess.Popen(
        [*command, f"--use-file-for-fake-audio-capture={voice}"],
        cwd=packages,
        env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield Browser(driver)
    finally:
        assert driver.stdin is not None
        assert driver.stdout is not None
        driver.stdin.close()
        try:
            driver.wait(20)  # it closes the browser first
        finally:
            driver.kill()
            driver.wait()
            driver.stdout.close()


def write_voice(path: Path) -> None:
    """A sound like speech, which noise suppression lets pass: a second of syllables, then a second and a half of silence."""
    samples = array("h", bytes(2 * _RATE * 5 // 2))
    for n in range(_RATE):
        time = n / _RATE
        syllable = math.sin(2 * math.pi * 2.5 * time) ** 2  # five a second
        pitch = sum(math.sin(2 * math.pi * 140 * harmonic * time) / harmonic for harmonic in range(1, 12))
        samples[n] = round(9_000 * syllable * pitch)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(samples.tobytes())
