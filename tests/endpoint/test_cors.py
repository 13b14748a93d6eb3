"""Cross-origin: which pages may ask from elsewhere, what browsers are told, and what they may read."""

from __future__ import annotations

import json

import pytest

from tests.endpoint.frameworks import AllFrameworks
from tests.endpoint.policy_names import APP
from tests.endpoint.wire import Request, bearer

EVIL = "https://evil.example"
READABLE = {
    "access-control-allow-origin": APP,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "retry-after",
    "vary": "origin",
}
UNREADABLE = {"vary": "origin"}


def cors(headers: dict[str, str]) -> dict[str, str]:
    """What an answer says of other origins."""
    return {name: headers[name] for name in headers if name == "vary" or name.startswith("access-control-")}


def preflight(origin: str, method: str = "POST", headers: str = "authorization,content-type") -> Request:
    """A browser's question beforehand."""
    asked = {"origin": origin, "access-control-request-method": method, "access-control-request-headers": headers}
    return Request(
        {**asked, "content-type": None, "content-length": None, "sec-fetch-site": "cross-site"}, b"", method="OPTIONS"
    )


def test_off_by_default(all_frameworks: AllFrameworks) -> None:
    """Without a list of origins there is no CORS: no header on a token, none on an error, and no preflight."""
    assert {} == cors(all_frameworks(Request(bearer("ada", origin=APP))).headers)
    assert {} == cors(all_frameworks(Request({"origin": APP})).headers)
    said = all_frameworks(preflight(APP))
    assert (405, {}) == (said.status, cors(said.headers))


ANSWERS = {
    201: Request(bearer("ada")),
    400: Request(bearer("ada"), b"x"),
    401: Request(),
    403: Request(bearer("rejected")),
    405: Request(method="GET"),
    413: Request(body=b" " * 16385),
    415: Request({"content-type": "text/plain"}),
    422: Request(json={"room_name": "\0"}),
    500: Request(bearer("fails")),
    503: Request(bearer("credentials")),
}


@pytest.mark.parametrize("status", ANSWERS)
def test_every_response(all_frameworks: AllFrameworks, status: int) -> None:
    """Pages of a listed origin can read every response, errors as well."""
    request = ANSWERS[status]
    said = all_frameworks(request._replace(headers={**request.headers, "origin": APP}), "cors")
    assert (status, READABLE) == (said.status, cors(said.headers))


@pytest.mark.parametrize("status", [201, 500])
@pytest.mark.parametrize("origin", [EVIL, None])
def test_other_origins(all_frameworks: AllFrameworks, status: int, origin: str | None) -> None:
    """No other page can read a response."""
    request = ANSWERS[status]
    said = all_frameworks(request._replace(headers={**request.headers, "origin": origin}), "cors")
    assert (status, UNREADABLE) == (said.status, cors(said.headers))


def test_preflight(all_frameworks: AllFrameworks) -> None:
    """A listed origin's browser may send a POST with the headers that it asks for, and with cookies."""
    said = all_frameworks(preflight(APP), "cors")
    assert (204, b"") == (said.status, said.body)
    allowed = {
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "authorization,content-type",
        "access-control-max-age": "600",
    }
    assert READABLE | allowed == cors(said.headers)
    assert "content-type" not in said.headers
    for target in all_frameworks.targets:
        if not target.program.name.startswith("django"):  # its CommonMiddleware adds one
            assert target.ask("cors", preflight(APP)).header("content-length") is None  # RFC 9110, section 8.6


def test_preflight_of_another_origin(all_frameworks: AllFrameworks) -> None:
    """Another origin's browser is refused, and is told nothing that it could go by."""
    said = all_frameworks(preflight(EVIL), "cors")
    assert (403, "origin_not_allowed", UNREADABLE) == (said.status, json.loads(said.body)["error"], cors(said.headers))


def test_options_without_a_question(all_frameworks: AllFrameworks) -> None:
    """OPTIONS that is no preflight is a wrong method."""
    said = all_frameworks(Request({"origin": APP}, method="OPTIONS"), "cors")
    assert (405, READABLE) == (said.status, cors(said.headers))


SITES = [("token", None, "same-origin", 201), ("token", None, "cross-site", 403), ("cors", APP, "cross-site", 201)]


@pytest.mark.parametrize(("route", "origin", "site", "status"), SITES)
def test_another_site(all_frameworks: AllFrameworks, route: str, origin: str | None, site: str, status: int) -> None:
    """Where the browser itself says that another site asks, only a listed origin is answered, whatever cookies came along."""
    said = all_frameworks(Request({**bearer("ada"), "sec-fetch-site": site, "origin": origin}), route)
    assert status == said.status
    if status == 403:
        assert "origin_not_allowed" == json.loads(said.body)["error"]
