"""Refusals: what becomes of each thing that `authorize` can say, raise or get wrong."""

from __future__ import annotations

import json

import pytest

from tests.endpoint.frameworks import AllFrameworks
from tests.endpoint.policy_names import LEAK
from tests.endpoint.wire import Request, bearer

SIGN_IN = {"www-authenticate": "Bearer"}
REFUSED: dict[str, tuple[str, tuple[int, str, str], dict[str, str]]] = {
    "nobody": ("", (401, "unauthenticated", "Authentication required."), SIGN_IN),
    "an unknown token": ("stranger", (401, "unauthenticated", "Authentication required."), SIGN_IN),
    "Denied(401)": ("unauthenticated", (401, "unauthenticated", "Authentication required."), SIGN_IN),
    "Denied()": ("rejected", (403, "forbidden", "Access denied."), {}),
    "Denied raised, with a code": ("denied-raised", (403, "trial_over", "Access denied."), {}),
    "Denied returned, with a code": ("denied-returned", (403, "trial_over", "Access denied."), {}),
    "the framework's own 401": ("framework-401", (401, "unauthenticated", "Authentication required."), SIGN_IN),
    "the framework's own 403": ("framework-403", (403, "forbidden", "Access denied."), {}),
}


@pytest.mark.parametrize(("rule", "why", "extra"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(all_frameworks: AllFrameworks, rule: str, why: tuple[int, str, str], extra: dict[str, str]) -> None:
    """Whoever is not admitted learns whether signing in would help, in the same words all_frameworks."""
    before = {name: program.told for name, program in all_frameworks.programs.items()}
    said = all_frameworks(Request(bearer(rule) if rule else {}))
    assert (why[0], {"error": why[1], "message": why[2]}) == (said.status, json.loads(said.body))
    assert extra == {name: said.headers[name] for name in said.headers if name in ("www-authenticate", "allow")}
    for name, program in all_frameworks.programs.items():
        new = [(record["level"], record["moss_code"]) for record in program.told[len(before[name]) :]]
        assert [("INFO", why[1])] * 2 == new  # one for each mode


@pytest.mark.parametrize(
    ("rule", "status"), [("framework-400", 400), ("framework-404", 404), ("unusual-404", 404), ("unusual-429", 429)]
)
def test_a_frameworks_other_refusals(all_frameworks: AllFrameworks, rule: str, status: int) -> None:
    """A status that a framework's exception stands for is kept where it refuses: `get_object_or_404` is no mistake."""
    said = all_frameworks(Request(bearer(rule)))
    assert (status, b'{"error":"refused","message":"The request was refused."}') == (said.status, said.body)


MISTAKES: dict[str, str] = {
    "it raises": "fails",
    "it raises StopIteration": "stops",
    "another service's 404": "elsewhere-404",
    "a framework's 500": "unusual-500",
    "it returns nothing": "none",
    "an identity of blanks": "blank-identity",
}


@pytest.mark.parametrize("rule", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_of_the_app_is_a_500_and_a_log_record(all_frameworks: AllFrameworks, rule: str) -> None:
    """What authorize gets wrong lets nobody in, tells the client nothing, and tells the log what it was."""
    before = {name: len(program.told) for name, program in all_frameworks.programs.items()}
    said = all_frameworks(Request(bearer(rule)))
    assert (500, b'{"error":"internal_error","message":"Internal server error."}') == (said.status, said.body)
    for name, program in all_frameworks.programs.items():
        new = [(record["logger"], record["level"]) for record in program.told[before[name] :]]
        assert [("moss_voice_server.endpoint", "ERROR")] * 2 == new  # one for each mode


def test_no_credentials_yet_is_no_mistake(all_frameworks: AllFrameworks) -> None:
    """Where authorize itself asks a server that has no credentials, the answer is 503 as anywhere else."""
    said = all_frameworks(Request(bearer("credentials")))
    assert (503, "some") == (said.status, said.headers["retry-after"])
    assert b'{"error":"unavailable","message":"Tokens are temporarily unavailable: try again later."}' == said.body


def test_a_server_that_cannot_be_found(all_frameworks: AllFrameworks) -> None:
    """A function that finds no server is the app's mistake as well."""
    assert 500 == all_frameworks(Request(bearer("ada")), "nowhere").status


def test_nothing_of_the_apps_trouble_is_told(all_frameworks: AllFrameworks) -> None:
    """No answer holds the text of an exception; the log of those that were raised does."""
    for rule in ("fails", "stops", "elsewhere-404"):
        for target in all_frameworks.targets:
            assert LEAK not in repr(target.ask("token", Request(bearer(rule))))
    for program in all_frameworks.programs.values():
        assert any(LEAK in record["text"] for record in program.records)
