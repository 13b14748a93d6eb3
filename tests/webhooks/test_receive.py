"""What `receive_webhook` accepts, and the table of what it refuses, with the code of each."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, NamedTuple

import jwt
import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server.errors import InvalidArgument, WebhookRejected

KEY, SECRET = "APIkey", "a-secret-of-more-than-32-bytes-for-tests"
OTHER = "another-secret-of-more-than-32-bytes-here"
PASSWORD = "turn-" + "password-0123456789"
EVENT = {
    "event": "participant_joined",
    "id": "EV_1",
    "createdAt": "1795896569",
    "room": {"sid": "RM_1", "name": "support-1", "turnPassword": PASSWORD, "creationTimeMs": "1795896569873"},
    "participant": {"identity": "user-42", "state": "ACTIVE", "kind": "SIP", "joinedAt": "1795896570"},
    "somethingNew": {"nested": [{"turnPassword": PASSWORD, "kept": 1}]},
}
BODY = json.dumps(EVENT).encode()


class Sent(NamedTuple):
    """A request as it arrives."""

    body: Any
    authorization: Any


def signed(body: bytes = BODY, *, secret: str = SECRET, headers: dict[str, Any] | None = None, **claims: Any) -> Sent:
    """A request that LiveKit would sign like this, apart from what is given; a claim of `...` is left out."""
    now = int(time.time())
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    whole = {"iss": KEY, "nbf": now, "iat": now, "exp": now + 300, "sha256": digest, **claims}
    kept = {name: value for name, value in whole.items() if value is not ...}
    return Sent(body, jwt.encode(kept, secret, algorithm="HS256", headers=headers))


@pytest.fixture(params=[MossVoiceServerSync, MossVoiceServer], ids=["sync", "async"])
def server(request: pytest.FixtureRequest) -> MossVoiceServer | MossVoiceServerSync:
    """A server of each class with static credentials; the method is a plain function in both."""
    made: MossVoiceServer | MossVoiceServerSync = request.param.from_livekit("ws://127.0.0.1:1", KEY, SECRET, "agent")
    return made


def test_event(server: MossVoiceServerSync) -> None:
    """Every field is read, unknown ones are in `raw`, and the room's TURN password is removed."""
    event = server.receive_webhook(*signed())

    assert ("EV_1", "participant_joined") == (event.id, event.event)
    assert datetime.fromtimestamp(1795896569, timezone.utc) == event.created_at
    assert event.room is not None
    assert ("support-1", "RM_1") == (event.room.name, event.room.sid)
    assert event.participant is not None
    assert ("user-42", "sip", "active") == (event.participant.identity, event.participant.kind, event.participant.state)
    assert {"nested": [{"kept": 1}]} == event.raw["somethingNew"]
    assert PASSWORD not in repr(event) + repr(event.raw) + repr(vars(event))


@pytest.mark.parametrize(
    "body", [b"{}", b'{"event": "new_event"}', b'{"room": null, "participant": [], "id": 3, "createdAt": "x"}']
)
def test_events_are_read_leniently(server: MossVoiceServerSync, body: bytes) -> None:
    """An unknown event, and one whose fields are missing or of another type, passes."""
    event = server.receive_webhook(*signed(body))
    assert (None, None, None) == (event.room, event.participant, event.created_at)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_body_may_be_any_bytes(server: MossVoiceServerSync, kind: type[Any]) -> None:
    """Frameworks have bytes of several kinds."""
    sent = signed()
    assert "EV_1" == server.receive_webhook(kind(sent.body), sent.authorization).id


@pytest.mark.parametrize(("authorization", "way_out"), [(b"a.b.c", "latin-1"), (5, "unchanged"), (b"", "latin-1")])
def test_authorization_must_be_a_str(server: MossVoiceServerSync, authorization: Any, way_out: str) -> None:
    """ASGI delivers bytes: an argument that has to be corrected, and no forged webhook."""
    with pytest.raises(InvalidArgument) as caught:
        server.receive_webhook(BODY, authorization)
    assert ("authorization", True) == (caught.value.field, way_out in caught.value.remedy)


def test_scheme_and_length_are_named(server: MossVoiceServerSync) -> None:
    """LiveKit sends no scheme and about 300 characters: what is different is not just no JWT."""
    for authorization, cause in ((f"Bearer {signed().authorization}", "scheme"), ("a" * 8193, "8192 characters")):
        with pytest.raises(WebhookRejected) as caught:
            server.receive_webhook(BODY, authorization)
        assert (True, "malformed") == (cause in caught.value.message, caught.value.code)


def test_body_must_be_raw(server: MossVoiceServerSync) -> None:
    """A text or parsed JSON is an argument that has to be corrected, and no forged webhook."""
    for body in (BODY.decode(), EVENT, None):
        with pytest.raises(InvalidArgument) as caught:
            server.receive_webhook(body, signed().authorization)  # type: ignore[arg-type]
        assert "body" == caught.value.field


def test_clocks_may_differ(server: MossVoiceServerSync) -> None:
    """A minute of difference between the clocks is allowed."""
    now = int(time.time())
    server.receive_webhook(*signed(nbf=now + 50, exp=now + 350))
    server.receive_webhook(*signed(nbf=now - 350, exp=now - 50))


def test_webhook_keys(server: MossVoiceServerSync) -> None:
    """Further keys are passed for one call; the server's own are valid too."""
    sent = signed(iss="other", secret=OTHER)
    assert "EV_1" == server.receive_webhook(*sent, webhook_keys={"other": OTHER}).id
    assert "EV_1" == server.receive_webhook(*signed(), webhook_keys={"other": OTHER}).id
    # A second secret for the same key.
    assert "EV_1" == server.receive_webhook(*signed(secret=OTHER), webhook_keys={KEY: OTHER}).id


@pytest.mark.parametrize(
    "keys", [[], {"": OTHER}, {"key": ""}, {"key": b"secret"}, "key", {"a\ud800": OTHER}, {"a": f"{OTHER}\ud800"}]
)
def test_damaged_webhook_keys(server: MossVoiceServerSync, keys: Any) -> None:
    """They map keys to secrets, both of them texts that are not empty."""
    with pytest.raises(InvalidArgument) as caught:
        server.receive_webhook(*signed(), webhook_keys=keys)
    assert "webhook_keys" == caught.value.field
    assert OTHER not in str(caught.value)


def _tampered(part: int, change: Callable[[str], str]) -> str:
    parts = signed().authorization.split(".")
    parts[part] = change(parts[part])
    return ".".join(parts)


def _other_first(text: str) -> str:
    return ("A" if text[0] != "A" else "B") + text[1:]


def _encoded(fields: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()


def refused() -> dict[str, tuple[Sent, str]]:
    """The requests that are refused, made now, and the code of each."""
    now = int(time.time())
    return {
        "no header": (Sent(BODY, None), "missing_authorization"),
        "empty header": (Sent(BODY, ""), "missing_authorization"),
        "no JWT": (Sent(BODY, "a.b"), "malformed"),
        "whitespace": (Sent(BODY, signed().authorization + "\n"), "malformed"),
        "truncated token": (Sent(BODY, signed().authorization[:-7]), "bad_signature"),
        "no signature": (Sent(BODY, _tampered(2, lambda _: "")), "bad_signature"),
        "altered signature": (Sent(BODY, _tampered(2, _other_first)), "bad_signature"),
        "altered claims": (
            Sent(BODY, _tampered(1, lambda _: _encoded({"iss": KEY, "exp": now + 300, "sha256": "x"}))),
            "bad_signature",
        ),
        "altered header": (Sent(BODY, _tampered(0, lambda _: _encoded({"alg": "HS256", "kid": "x"}))), "bad_signature"),
        "alg none": (Sent(BODY, _tampered(0, lambda _: _encoded({"alg": "none"}))), "malformed"),
        "alg none, no signature": (
            Sent(BODY, ".".join([_encoded({"alg": "none"}), signed().authorization.split(".")[1], ""])),
            "malformed",
        ),
        "alg HS512": (Sent(BODY, jwt.encode({"iss": KEY}, SECRET * 2, algorithm="HS512")), "malformed"),
        "no alg": (Sent(BODY, _tampered(0, lambda _: _encoded({"typ": "JWT"}))), "malformed"),
        "claims are a list": (Sent(BODY, _tampered(1, lambda _: _encoded([1]))), "malformed"),
        "forged with another secret": (signed(secret=OTHER), "bad_signature"),
        "re-signed with the key as secret": (signed(secret=KEY.ljust(32, "=")), "bad_signature"),
        "unknown key": (signed(iss="APIother"), "unknown_key"),
        "no issuer": (signed(iss=...), "malformed"),
        "issuer is a number": (Sent(BODY, _tampered(1, lambda _: _encoded({"iss": 1}))), "malformed"),
        "replayed late": (signed(nbf=now - 1000, exp=now - 700), "expired"),
        "not valid yet": (signed(nbf=now + 600, exp=now + 900), "expired"),
        "not valid before the end of time": (signed(nbf=10**400), "expired"),
        "expired before the first of times": (signed(nbf=-(10**400), exp=-(10**400)), "expired"),
        "no expiry": (signed(exp=...), "malformed"),
        "hash is a list": (Sent(BODY, jwt.encode({"iss": KEY, "exp": now + 300, "sha256": [1]}, SECRET)), "malformed"),
        "no hash": (signed(sha256=...), "malformed"),
        "a participant's token": (
            Sent(BODY, jwt.encode({"iss": KEY, "sub": "user-42", "exp": now + 300}, SECRET)),
            "malformed",
        ),
        "hash of another body": (signed(b"{}")._replace(body=BODY), "body_mismatch"),
        "altered body": (signed()._replace(body=BODY.replace(b"user-42", b"user-43")), "body_mismatch"),
        "truncated body": (signed()._replace(body=BODY[:-1]), "body_mismatch"),
        "longer body": (signed()._replace(body=BODY + b"\n"), "body_mismatch"),
        "empty body": (signed()._replace(body=b""), "body_mismatch"),
        "hash with a lone surrogate": (signed(sha256="\ud800"), "body_mismatch"),
        "signed, but no JSON": (signed(b"not json"), "malformed"),
        "signed, but a list": (signed(b"[]"), "malformed"),
        "signed, but not UTF-8": (signed(b'{"a": "\xff"}'), "malformed"),
        "signed, but too deep": (signed(b'{"a":' + b"[" * 500 + b"]" * 500 + b"}"), "malformed"),
    }  # fmt: skip


@pytest.mark.parametrize("name", refused())
def test_refused(server: MossVoiceServerSync, name: str) -> None:
    """Forged, altered, late or truncated: rejected with a code and a remedy."""
    sent, code = refused()[name]

    with pytest.raises(WebhookRejected) as caught:
        server.receive_webhook(*sent)

    assert (code, True) == (caught.value.code, bool(caught.value.remedy))
    assert PASSWORD not in str(caught.value)
