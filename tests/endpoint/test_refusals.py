"""Refusals: what becomes of each thing that `authorize` can say, raise or get wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.endpoint.everywhere import Everywhere
from tests.endpoint.policy_names import LEAK
from tests.endpoint.wire import Request, bearer

SIGN_IN = {"www-authenticate": "Bearer"}
REFUSED: dict[str, tuple[str, tuple[int, str, str], dict[str, str]]] = {
    "nobody": ("", (401, "unauthenticated", "Sign in first."), SIGN_IN),
    "an unknown token": ("stranger", (401, "unauthenticated", "Sign in first."), SIGN_IN),
    "Denied(401)": ("unauthenticated", (401, "unauthenticated", "Sign in first."), SIGN_IN),
    "Denied()": ("rejected", (403, "forbidden", "This is not allowed."), {}),
    "Denied raised, with a code": ("denied-raised", (403, "trial_over", "This is not allowed."), {}),
    "Denied returned, with a code": ("denied-returned", (403, "trial_over", "This is not allowed."), {}),
    "the framework's own 401": ("framework-401", (401, "unauthenticated", "Sign in first."), SIGN_IN),
    "the framework's own 403": ("framework-403", (403, "forbidden", "This is not allowed."), {}),
}


@pytest.mark.parametrize(("rule", "why", "extra"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(everywhere: Everywhere, rule: str, why: tuple[int, str, str], extra: dict[str, str]) -> None:
    """Whoever is not admitted learns whether signing in would help, in the same words everywhere."""
    before = {name: program.told for name, program in everywhere.programs.items()}
    said = everywhere(Request(bearer(rule) if rule else {}))
    assert (why[0], {"error": why[1], "message": why[2]}) == (said.status, json.loads(said.body))
    assert extra == {name: said.headers[name] for name in said.headers if name in ("www-authenticate", "allow")}
    assert before == {name: program.told for name, program in everywhere.programs.items()}


@pytest.mark.parametrize(
    ("rule", "status"), [("framework-400", 400), ("framework-404", 404), ("unusual-404", 404), ("unusual-429", 429)]
)
def test_a_frameworks_other_refusals(everywhere: Everywhere, rule: str, status: int) -> None:
    """A status that a framework's exception stands for is kept where it refuses: `get_object_or_404` is no mistake."""
    said = everywhere(Request(bearer(rule)))
    assert (status, b'{"error":"refused","message":"The request was refused."}') == (said.status, said.body)


MISTAKES: dict[str, str] = {
    "it raises": "fails",
    "it raises StopIteration": "stops",
    "another service's 404": "elsewhere-404",
    "another service's code": "elsewhere-text",
    "a status that HTTP does not have": "unusual-499",
    "a framework's 500": "unusual-500",
    "a status that is no number": "unusual-text",
    "it returns nothing": "none",
    "it returns True": "true",
    "it returns a mapping": "mapping",
    "it returns a class": "class",
    "an identity of blanks": "blank-identity",
    "a number as metadata": "number-as-metadata",
}


@pytest.mark.parametrize("rule", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_of_the_app_is_a_500_and_a_log_record(everywhere: Everywhere, rule: str) -> None:
    """What authorize gets wrong lets nobody in, tells the client nothing, and tells the log what it was."""
    before = {name: len(program.told) for name, program in everywhere.programs.items()}
    said = everywhere(Request(bearer(rule)))
    assert (500, b'{"error":"internal_error","message":"Something went wrong on the server."}') == (
        said.status,
        said.body,
    )
    for name, program in everywhere.programs.items():
        new = [(record["logger"], record["level"]) for record in program.told[before[name] :]]
        assert [("moss_voice_server.endpoint", "ERROR")] * 2 == new  # one for each mode


def test_no_credentials_yet_is_no_mistake(everywhere: Everywhere) -> None:
    """Where authorize itself asks a server that has no credentials, the answer is 503 as anywhere else."""
    said = everywhere(Request(bearer("credentials")))
    assert (503, "some") == (said.status, said.headers["retry-after"])
    assert b'{"error":"unavailable","message":"Tokens cannot be made at the moment: try again later."}' == said.body


def test_a_server_that_cannot_be_found(everywhere: Everywhere) -> None:
    """A function that finds no server is the app's mistake as well."""
    assert 500 == everywhere(Request(bearer("ada")), "nowhere").status


def test_nothing_of_the_apps_trouble_is_told(everywhere: Everywhere) -> None:
    """No answer holds the text of an exception; the log of those that were raised does."""
    for rule in ("fails", "stops", "elsewhere-404", "mapping"):
        for target in everywhere.targets:
            assert LEAK not in repr(target.ask("token", Request(bearer(rule))))
    for program in everywhere.programs.values():
        assert any(LEAK in record["text"] for record in program.records)


def test_no_error_could_be_taken_for_a_token(everywhere: Everywhere) -> None:
    """There are clients that do not look at the status: no error has the keys that they look for."""
    requests: list[tuple[Request, dict[str, Any]]] = [
        (Request(), {}),
        (Request(method="GET"), {}),
        (Request(body=b"x"), {}),
        (Request(bearer("fails")), {}),
        (Request(bearer("ada"), json={"participant_token": "x", "server_url": "y"}), {}),
        (Request(bearer("ada")), {"door": "limited-async"}),
        (Request(bearer("credentials")), {}),
    ]
    for request, where in requests:
        said = everywhere(request, **where)
        assert said.status >= 400
        assert ["error", "message"] == list(json.loads(said.body))
        assert b"server_url" not in said.body
        assert b"participant_token" not in said.body
