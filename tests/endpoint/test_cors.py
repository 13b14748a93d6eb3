"""CORS: which pages of other origins may read a response, by the rules alone and in every framework."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import pytest

from moss_voice_server._endpoint.cors import Cors
from moss_voice_server._endpoint.refusal import Refusal
from moss_voice_server._endpoint.responses import COMMON_HEADERS
from tests.endpoint.frameworks import AllFrameworks
from tests.endpoint.policy_names import APP
from tests.support.errors import refused
from tests.support.wire import Request, bearer

EVIL = "https://evil.example"
ALLOWED = {
    "vary": "origin",
    "access-control-allow-origin": APP,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "retry-after",
}
HIDDEN = {"vary": "origin"}


def asked(origin: str, method: str = "POST", names: str = "authorization,content-type") -> dict[str, str]:
    """The headers of a preflight."""
    return {"origin": origin, "access-control-request-method": method, "access-control-request-headers": names}


# The rules.


OTHERS = [
    "", "null", "*", "http://app.example", "https://app.example:8443", "https://app.example.evil.test",
    "https://evil-app.example", "https://app.example/", "HTTPS://APP.EXAMPLE",
]  # fmt: skip


@pytest.mark.parametrize(("origin", "added"), [(APP, ALLOWED), *((origin, HIDDEN) for origin in OTHERS)])
def test_only_a_listed_origin_may_read(origin: str, added: dict[str, str]) -> None:
    """An origin is compared as a whole, and no other is reflected; caches learn that it matters."""
    assert added == dict(Cors([APP, "https://other.example"]).headers(origin))


def test_preflight() -> None:
    """A listed origin's browser learns what it may send, without a body and a length (RFC 9110, section 8.6)."""
    cors = Cors([APP])
    found = cors.preflight(asked(APP, names="authorization, content-type,x-my_app"))
    assert found is not None
    expected = {
        **dict(COMMON_HEADERS[1:]),
        **ALLOWED,
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "authorization, content-type,x-my_app",
        "access-control-max-age": "600",
    }
    assert (204, b"", expected) == (found.status, found.body, dict(cors.add_headers(found, APP).headers))
    assert cors.preflight(asked(APP, method="")) is None
    with pytest.raises(Refusal) as caught:
        cors.preflight(asked(EVIL))
    assert (403, "origin_not_allowed") == (caught.value.status, caught.value.code)


@pytest.mark.parametrize("names", ["", "a\r\nset-cookie: x", "é", "a" * 513, "a;b"])
def test_preflight_repeats_only_names(names: str) -> None:
    """What is not a list of header names is not in the response."""
    found = Cors([APP]).preflight(asked(APP, names=names))
    assert found is not None
    assert "content-type" == dict(found.headers)["access-control-allow-headers"]


WRONG: list[Any] = [
    APP, ["*"], ["null"], [""], ["app.example"], ["https://app.example/"], ["https://App.example"], ["https://*.example"],
    ["https://user@app.example"], ["https://app.example\n"], ["https://app.example:443"], [7], 7, b"https://app.example",
]  # fmt: skip


@pytest.mark.parametrize("allow_origins", WRONG, ids=repr)
def test_origins_are_checked_when_the_endpoint_is_made(allow_origins: Any) -> None:
    """What no browser sends is refused at once, with the argument's name."""
    assert "allow_origins" == refused(Cors, allow_origins)[0]


SENT = [APP, "http://localhost:5173", "http://[::1]:3000", "https://a_b.example", "chrome-extension://abcdefghijklmnop"]


@pytest.mark.parametrize("origin", SENT)
def test_origins_that_browsers_send(origin: str) -> None:
    """Names, IP addresses and ports are compared as browsers write them, from any collection."""
    assert Cors(each for each in [origin]).allows(origin)


SITES = [
    ((), APP, "same-origin", True),
    ((), APP, "same-site", True),
    ((), EVIL, "cross-site", False),
    ((), "", "cross-site", False),
    ((APP,), APP, "cross-site", True),
    ((APP,), EVIL, "cross-site", False),
    ((APP,), "", "cross-site", False),
]


@pytest.mark.parametrize(("origins", "origin", "site", "passes"), SITES)
def test_requests_of_other_sites(origins: tuple[str, ...], origin: str, site: str, passes: bool) -> None:
    """A request that the browser itself reports as another site's passes only with a listed origin."""
    with nullcontext() if passes else pytest.raises(Refusal):
        Cors(origins).check_site({"sec-fetch-site": site, "origin": origin})


# Every framework.


def cors_headers(headers: dict[str, str]) -> dict[str, str]:
    """What a response says of other origins."""
    return {name: headers[name] for name in headers if name == "vary" or name.startswith("access-control-")}


def preflight(origin: str) -> Request:
    """A browser's preflight request."""
    more = {"content-type": None, "content-length": None, "sec-fetch-site": "cross-site"}
    return Request({**asked(origin), **more}, b"", method="OPTIONS")


def test_off_by_default(all_frameworks: AllFrameworks) -> None:
    """Without a list of origins a token and an error have no CORS header, and there is no preflight."""
    for request, status in (
        (Request(bearer("ada", origin=APP)), 201),
        (Request({"origin": APP}), 401),
        (preflight(APP), 405),
    ):
        said = all_frameworks(request)
        assert (status, {}) == (said.status, cors_headers(said.headers))


ANSWERS = {
    201: Request(bearer("ada")),
    400: Request(bearer("ada"), b"x"),
    401: Request(),
    403: Request(bearer("rejected")),
    405: Request(method="OPTIONS"),
    413: Request(body=b" " * 16385),
    500: Request(bearer("fails")),
    503: Request(bearer("credentials")),
}


@pytest.mark.parametrize("status", ANSWERS)
def test_every_response(all_frameworks: AllFrameworks, status: int) -> None:
    """Pages of a listed origin can read every response, errors as well, and no other page can."""
    for origin, headers in ((APP, ALLOWED), (EVIL, HIDDEN)):
        request = ANSWERS[status]
        said = all_frameworks(request._replace(headers={**request.headers, "origin": origin}), "cors")
        assert (status, headers) == (said.status, cors_headers(said.headers))


def test_preflight_in_every_framework(all_frameworks: AllFrameworks) -> None:
    """The response to a preflight has no body, no type and no length."""
    said = all_frameworks(preflight(APP), "cors")
    assert (204, b"", None) == (said.status, said.body, said.headers.get("content-type"))
    assert ALLOWED.items() <= cors_headers(said.headers).items()
    for target in all_frameworks.targets:
        if not target.program.name.startswith("django"):  # its CommonMiddleware adds one
            assert target.ask("cors", preflight(APP)).header("content-length") is None


@pytest.mark.parametrize("request_", [preflight(EVIL), Request({**bearer("ada"), "sec-fetch-site": "cross-site"})])
def test_another_site(all_frameworks: AllFrameworks, request_: Request) -> None:
    """A preflight of another origin, and a request that the browser reports as another site's, are refused."""
    said = all_frameworks(request_, "cors")
    assert (403, HIDDEN) == (said.status, cors_headers(said.headers))
    assert "origin_not_allowed" == json.loads(said.body)["error"]
