"""Token: whether LiveKit accepts a token that is made with the credentials, asked without joining."""

from __future__ import annotations

from collections.abc import Generator
from secrets import token_hex

from .._http.model import Response, TransportError
from .._secret import Secret
from . import credentials, reach
from .check import Check, Stopwatch
from .keys import Keys
from .livekit import NO_TOKEN, Server
from .plan import Plan
from .reach import Place

NAMES = ("token", "token.v1")
NO_ROOM = "requested room does not exist"
_CLOCK = "set the clocks of this machine and of LiveKit's, with NTP; see the check `clock`"


def checks(server: Server, keys: Keys, plan: Plan) -> Generator[Check, None, bool]:
    """Both paths on which clients ask; returns whether joining is worth a try."""
    watch = Stopwatch(plan.mono)
    token = keys.join_token(new_room())
    answer = validate(server, "/rtc/validate", token, plan)
    check = judge(answer, server, keys, watch, plan.timeout)
    yield check
    if check.status == "fail":
        yield watch.skip(NAMES[1], "the token was not accepted")
        return False
    yield _v1(validate(server, "/rtc/v1/validate", token, plan), watch)
    return check.status == "ok"


def new_room() -> str:
    """The name of a room of the doctor's own."""
    return f"doctor-{token_hex(8)}"


def validate(server: Server, path: str, token: Secret[str], plan: Plan) -> Response | TransportError:
    """What LiveKit says to the holder of a token; nobody joins, and no room is made."""
    from .http import ask

    # In the header: newer servers read it nowhere else, and it stays out of the logs of proxies.
    headers = Secret({"Authorization": f"Bearer {token.reveal()}"})
    return ask("GET", server.http + path, headers, timeout=plan.timeout)


def judge(answer: Response | TransportError, server: Server, keys: Keys, watch: Stopwatch, timeout: float) -> Check:
    """What an answer of `/rtc/validate` means. Its body is only compared: LiveKit up to 1.13.5 repeats the token in it."""
    name = NAMES[0]
    if isinstance(answer, TransportError):
        place = Place("livekit", server.http, "LiveKit's address")
        return watch.fail(name, *reach.why(answer, place, timeout))
    body = answer.body.reveal()
    tried = f"GET /rtc/validate: HTTP {answer.status}"
    if answer.status == 200 and body.strip() == b"success":
        return watch.ok(name, f"{tried}, the token is accepted")
    if answer.status == 401:
        detail, remedy = _refused(body, keys)
        return watch.fail(name, f"{tried}: {detail}", remedy)
    if answer.status == 404 and NO_ROOM.encode() in body:
        return watch.warn(
            name,
            f"{tried}: the token is accepted, but this server makes no room when somebody joins (room.auto_create is off)",
            "create each room first, from your backend, or turn room.auto_create on",
        )
    detail, remedy = _OTHERS.get(
        answer.status,
        ("LiveKit does not answer so; a proxy does, perhaps", "look at what stands between here and LiveKit"),
    )
    return watch.fail(name, f"{tried}: {detail}", remedy)


def _refused(body: bytes, keys: Keys) -> tuple[str, str]:
    if b"invalid API key" in body:
        if credentials.look_swapped(keys):
            return f"LiveKit does not know the API key; {credentials.SWAPPED}", "exchange key and secret"
        return (
            "LiveKit does not know the API key",
            "check that key and address belong to the same LiveKit project, and that the key was not revoked",
        )
    if NO_TOKEN.encode() in body:
        return (
            "LiveKit has not seen the token: something between takes the Authorization header away",
            "let the proxy before LiveKit pass the Authorization header",
        )
    for mark, detail, remedy in _REASONS:
        if mark in body:
            return detail, remedy
    return "LiveKit refuses the token", "read LiveKit's log; `moss-voice-server inspect` looks at a token's content"


_REASONS = (
    (
        b"signature is invalid",
        "the secret does not belong to the API key",
        "copy key and secret again, both from the same place; a key that was made anew has a new secret",
    ),
    (b"token is expired", "LiveKit takes the new token for expired: the clocks differ", _CLOCK),
    (b"not valid yet", "LiveKit takes the new token for not yet valid: the clocks differ", _CLOCK),
)
_OTHERS = {
    400: ("LiveKit does not understand the token", "read LiveKit's log: does it have limits of its own?"),
    403: ("something between refuses", "look at what stands between here and LiveKit"),
    429: ("too many requests", "try again later; raise the limit of the proxy or the project"),
    451: ("the project may not be used from this region", "use the address of the project's own region"),
    503: (
        "the server is over its limits",
        "try again later, or give LiveKit more room; its `limit:` settings say how much",
    ),
}


def _v1(answer: Response | TransportError, watch: Stopwatch) -> Check:
    name, path = NAMES[1], "/rtc/v1/validate"
    if isinstance(answer, TransportError):
        return watch.warn(name, f"GET {path}: no answer this time", "try again; is a proxy in the way of /rtc/v1?")
    tried = f"GET {path}: HTTP {answer.status}"
    if answer.status == 400 and b"join_request is required" in answer.body.reveal():
        return watch.ok(name, f"{tried} as it must; new clients join at once")
    if answer.status == 404:
        return watch.warn(
            name,
            f"{tried}: this server is older than 1.9.10, or a proxy hides the path; new clients try it first",
            "update LiveKit, or let the proxy pass /rtc/v1; clients go on to /rtc all the same",
        )
    return watch.warn(name, f"{tried}, which LiveKit does not answer", "let the proxy pass /rtc/v1 to LiveKit")
