"""Django: what depends on an exception that leaves a view: transactions, the signal, and middlewares."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("django")
ROOT = Path(__file__).parent.parent.parent

# A separate program: Django has one settings object per process.
PROGRAM = """
import json, sys
import django
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.signals import got_request_exception
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from moss_voice_server.django import token_view
from moss_voice_server.endpoint import Denied
from tests.endpoint.calls import ADA, SERVER

seen = []
FAILURES = {"forbidden": PermissionDenied(), "denied": Denied(401), "known": KeyError("x"), "crash": ZeroDivisionError()}
FAILURES |= {"limiter": ZeroDivisionError(), "limiter-forbids": PermissionDenied(), "server": ZeroDivisionError()}

def fail(*rules):
    if rule in rules: raise FAILURES[rule]

class Middleware:
    def __init__(self, get_response): self.get_response = get_response
    def __call__(self, request): return self.get_response(request)
    def process_exception(self, request, error):
        seen.append("middleware")
        return HttpResponse("mine", status=418) if isinstance(error, KeyError) else None

settings.configure(
    ALLOWED_HOSTS=["*"], SECRET_KEY="s" * 50, ROOT_URLCONF=__name__, LOGGING_CONFIG=None,
    MIDDLEWARE=["__main__.Middleware"] if "middleware" in sys.argv else [],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "ATOMIC_REQUESTS": True}},
)
django.setup()
with connection.cursor() as cursor:
    cursor.execute("create table minutes (n integer)")

def authorize(request, token_request):
    with connection.cursor() as cursor:
        cursor.execute("insert into minutes values (1)")
    fail("forbidden", "denied", "known", "crash")
    return ADA

def find_server(request):
    fail("server")
    return None if rule == "no-server" else SERVER

view = token_view(find_server, authorize=authorize, rate_limiter=lambda key: fail("limiter", "limiter-forbids"))

class RestRequest:
    def __init__(self, request): self._request = request
    def __getattr__(self, name): return getattr(self._request, name)

def rest_view(request):
    try:
        return view(RestRequest(request))
    except KeyError:
        return HttpResponse("handled", status=418)

urlpatterns = [path("t", view), path("rest", rest_view)]
got_request_exception.connect(lambda **more: seen.append("signal"), weak=False)
client = Client(raise_request_exception=False)
found = {}
RULES = "granted forbidden denied room known crash limiter limiter-forbids server no-server".split()
for rule in RULES:
    seen.clear()
    body = {"room_name": "r"} if rule == "room" else {}
    url = "/rest" if "rest" in sys.argv else "/t"
    response = client.post(url, json.dumps(body), content_type="application/json")
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from minutes")
        count = cursor.fetchone()[0]
        cursor.execute("delete from minutes")
    found[rule] = [response.status_code, count, list(seen)]
print(json.dumps(found))
"""


def run(*arguments: str) -> dict[str, Any]:
    """Status, committed rows, and what received the exception, by rule."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_transactions() -> None:
    """Under ATOMIC_REQUESTS only a token commits; a crash is signalled as in every view."""
    refused = {"denied": [401, 0, []], **{rule: [403, 0, []] for rule in ("forbidden", "room", "limiter-forbids")}}
    crashed = {rule: [500, 0, ["signal"]] for rule in ("known", "crash", "limiter", "server", "no-server")}
    assert {"granted": [201, 1, []], **refused, **crashed} == run()


def test_middlewares_receive_exceptions() -> None:
    """An exception leaves the view where a middleware has process_exception, and may be answered by it."""
    found = run("middleware")
    assert [418, 0, ["middleware"]] == found["known"]
    assert [500, 0, ["middleware", "signal"]] == found["crash"]
    assert [403, 0, []] == found["forbidden"]


def test_views_of_the_rest_framework_handle_exceptions() -> None:
    """They pass their own request to a view that they wrap, and exceptions that leave it go to their handlers."""
    found = run("rest")
    assert ([418, []], [201, 1, []], [403, 0, []]) == (found["known"][::2], found["granted"], found["forbidden"])
    assert [500, 0, ["signal"]] == found["crash"]
