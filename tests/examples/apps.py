"""The example applications: how to start each, and how to sign in."""

from __future__ import annotations

import base64
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
import jwt

from moss_voice_server.testing import FakeMoss
from tests.examples.serving import LONGEST, run, serving

EXAMPLES = Path(__file__).parents[2] / "examples"
SETTINGS = {
    "APP_KEY": "a-key-of-the-application-for-tests-only",
    "ADA_PASSWORD": "correct horse battery staple",
    "ADA_API_KEY": "an-api-key-for-tests-only",
    "DJANGO_SUPERUSER_PASSWORD": "correct horse battery staple",
}
Headers = dict[str, str]


class Example(NamedTuple):
    """One example application under one server."""

    command: tuple[str, ...]
    sign_in: Callable[[httpx2.Client], Headers]
    """Signs Ada in, and returns the headers of her token requests."""
    identity: str
    """Pattern of her identity in a token."""
    before: tuple[tuple[str, ...], ...] = ()
    """Commands to run once before."""


class Running(NamedTuple):
    """A running example."""

    example: Example
    url: str

    @property
    def token_url(self) -> str:
        """The URL of the token endpoint."""
        return f"{self.url}/voice/token"

    def sign_in(self) -> Headers:
        """Ada's headers."""
        with httpx2.Client(base_url=self.url, timeout=LONGEST, trust_env=False) as client:
            return self.example.sign_in(client)


def _bearer_from_the_login(_client: httpx2.Client) -> Headers:
    """An access token, as the login service signs it."""
    token = jwt.encode({"sub": "ada", "exp": int(time.time()) + 600}, SETTINGS["APP_KEY"], "HS256")
    return {"Authorization": f"Bearer {token}"}


def _api_key(_client: httpx2.Client) -> Headers:
    return {"Authorization": f"Bearer {SETTINGS['ADA_API_KEY']}"}


def _password(_client: httpx2.Client) -> Headers:
    return {"Authorization": "Basic " + base64.b64encode(f"ada:{SETTINGS['ADA_PASSWORD']}".encode()).decode()}


def _cookies(client: httpx2.Client) -> Headers:
    return {"Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)}


def _flask_login(client: httpx2.Client) -> Headers:
    wrong = client.post("/login", data={"name": "ada", "password": "a guess"})
    assert 401 == wrong.status_code
    done = client.post("/login", data={"name": "ada", "password": SETTINGS["ADA_PASSWORD"]})
    assert 200 == done.status_code
    return _cookies(client)


def _django_login(client: httpx2.Client) -> Headers:
    page = client.get("/admin/login/")
    hidden = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert hidden, page.text
    form = {"username": "ada", "password": SETTINGS["DJANGO_SUPERUSER_PASSWORD"], "csrfmiddlewaretoken": hidden[1]}
    done = client.post("/admin/login/", data=form)
    assert 302 == done.status_code, done.text
    return {**_cookies(client), "X-CSRFToken": client.cookies["csrftoken"]}


def _program(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(Path(sys.executable).parent / name), *arguments)


_UVICORN = _program("uvicorn", "app:app", "--port=0")
_BIND = "--bind=127.0.0.1:0"
_MANAGE = (sys.executable, "manage.py")
_DJANGO_BEFORE = (
    (*_MANAGE, "migrate", "--verbosity=0"),
    (*_MANAGE, "createsuperuser", "--noinput", "--username=ada", "--email=ada@example.com"),
)

# test_walk.py starts the development servers.
APPS = {
    "fastapi": Example(_UVICORN, _bearer_from_the_login, r"sub-[0-9a-f]{40}"),
    "flask": Example(_program("gunicorn", "app:app", _BIND, "--workers=2"), _flask_login, "ada"),
    "django": Example(_program("gunicorn", "wsgi", _BIND), _django_login, "user-1", _DJANGO_BEFORE),
    "starlette": Example(_UVICORN, _api_key, "ada"),
    "wsgi": Example(_program("gunicorn", "app:app", _BIND), _password, "ada"),
}


@contextmanager
def started(name: str, moss: FakeMoss, folder: Path) -> Iterator[Running]:
    """A copy of the example in `folder`, started as its page says, with `moss` as the Moss API."""
    example, copy = APPS[name], folder / name
    environ: Mapping[str, str] = {**SETTINGS, **moss.environ}
    shutil.copytree(EXAMPLES / name, copy, ignore=shutil.ignore_patterns("__pycache__", "*.sqlite3"))
    for command in example.before:
        run(command, copy, environ)
    with serving(example.command, copy, environ) as url:
        yield Running(example, url)
