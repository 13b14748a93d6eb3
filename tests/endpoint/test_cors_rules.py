"""CORS: which pages of other origins may read a response, by the rules alone."""

from __future__ import annotations

from typing import Any

import pytest

from moss_voice_server._endpoint.cors import Cors
from moss_voice_server._endpoint.refusal import Refusal
from moss_voice_server._endpoint.responses import COMMON_HEADERS, refusal_response
from moss_voice_server.errors import InvalidArgument

APP = "https://app.example"


def added_headers(cors: Cors, origin: str) -> dict[str, str]:
    """The headers that CORS adds to an error."""
    plain = refusal_response(Refusal(400, "invalid_json"))
    found = cors.add_headers(plain, origin)
    assert plain.headers == found.headers[: len(plain.headers)]
    assert plain.body == found.body
    return dict(found.headers[len(plain.headers) :])


def asked(origin: str, method: str = "POST", names: str = "content-type") -> dict[str, str]:
    """The headers of a preflight."""
    return {"origin": origin, "access-control-request-method": method, "access-control-request-headers": names}


ALLOWED = {
    "vary": "origin",
    "access-control-allow-origin": APP,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "retry-after",
}


@pytest.mark.parametrize("origin", ["", APP, "https://evil.example", "null", "*"])
def test_without_origins_there_is_no_cors(origin: str) -> None:
    """Off means off: no header, no preflight, whoever asks."""
    cors = Cors(())
    assert {} == added_headers(cors, origin)
    assert not cors.allows(origin)
    with pytest.raises(Refusal) as caught:
        cors.preflight(asked(origin))
    assert 405 == caught.value.status


ORIGINS: list[tuple[str, dict[str, str]]] = [
    (APP, ALLOWED),
    *(
        (origin, {"vary": "origin"})
        for origin in (
            "",
            "null",
            "*",
            "http://app.example",
            "https://app.example:8443",
            "https://app.example.evil.test",
            "https://evil-app.example",
            "https://app.example/",
            "HTTPS://APP.EXAMPLE",
            "https://app.example\n",
            "https://app.example https://evil.example",
        )
    ),
]


@pytest.mark.parametrize(("origin", "added"), ORIGINS, ids=[origin for origin, _ in ORIGINS])
def test_only_a_listed_origin_may_read(origin: str, added: dict[str, str]) -> None:
    """An origin is compared whole; caches are told that it matters, whoever asks; nobody's is reflected."""
    assert added == added_headers(Cors([APP, "https://other.example"]), origin)


def test_preflight() -> None:
    """A listed origin's browser is told what it may send, without a body and without a length (RFC 9110, section 8.6)."""
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


@pytest.mark.parametrize("names", ["", "a\r\nset-cookie: x", "x: y", "é", "a" * 513, "a;b"])
def test_preflight_repeats_only_names(names: str) -> None:
    """What is no list of header names is not said back."""
    found = Cors([APP]).preflight(asked(APP, names=names))
    assert found is not None
    assert "content-type" == dict(found.headers)["access-control-allow-headers"]


def test_preflight_from_elsewhere() -> None:
    """Another origin is refused."""
    with pytest.raises(Refusal) as caught:
        Cors([APP]).preflight(asked("https://evil.example"))
    assert (403, "origin_not_allowed") == (caught.value.status, caught.value.code)


def test_no_preflight() -> None:
    """Only OPTIONS with the method that is meant is a preflight."""
    assert Cors([APP]).preflight(asked(APP, method="")) is None


@pytest.mark.parametrize(
    "allow_origins",
    [
        APP,
        ["*"],
        ["null"],
        [""],
        ["app.example"],
        ["https://app.example/"],
        ["https://App.example"],
        ["https://*.example"],
        ["https://user@app.example"],
        ["https://app.example?x"],
        ["https://app.example\n"],
        ["https://"],
        [7],
        7,
        None,
        b"https://app.example",
    ],
    ids=repr,
)
def test_origins_are_checked_when_the_endpoint_is_made(allow_origins: Any) -> None:
    """What no browser would ever send is refused at once, with the argument's name."""
    with pytest.raises(InvalidArgument) as caught:
        Cors(allow_origins)
    assert "allow_origins" == caught.value.field


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example",
        "http://localhost:5173",
        "http://127.0.0.1:8000",
        "http://[::1]:3000",
        "https://a_b.example",
        "capacitor://localhost",
        "tauri://localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    ],
)
def test_origins_that_browsers_send(origin: str) -> None:
    """Names, addresses and ports are compared as browsers write them, from whatever collection they come."""
    for allow_origins in ([origin], (origin,), {origin}, (each for each in [origin])):
        assert Cors(allow_origins).allows(origin)


SITES = [
    ((), "", "same-origin", True),
    ((), APP, "same-origin", True),
    ((), "", "none", True),
    ((), APP, "same-site", True),
    ((), "https://evil.example", "cross-site", False),
    ((), "", "cross-site", False),
    ((APP,), APP, "cross-site", True),
    ((APP,), "https://evil.example", "cross-site", False),
    ((APP,), "", "cross-site", False),
]


@pytest.mark.parametrize(("origins", "origin", "site", "passes"), SITES)
def test_requests_of_other_sites(origins: tuple[str, ...], origin: str, site: str, passes: bool) -> None:
    """A request that the browser itself reports as another site's passes only with a listed origin."""
    code = ""
    try:
        Cors(origins).check_site({"sec-fetch-site": site, "origin": origin})
    except Refusal as refusal:
        code = refusal.code
    assert ("" if passes else "origin_not_allowed") == code
