"""Webhook: whether LiveKit signed a request, and the event in it. Pure: the keys and the time are arguments."""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from .. import _jwt
from .._secret import Secret
from .._token.json_string import json_string
from .._token.signing import Signer
from .._validation import plain_secret
from ..errors import InvalidArgument, WebhookRejected
from . import parse
from .models import WebhookEvent

LEEWAY = 60.0  # seconds that two clocks may differ
_MAX_TOKEN = 8192  # characters; LiveKit's token has about 300


def receive(
    body: Secret[Any],
    authorization: Secret[Any],
    signers: Iterable[Signer],
    webhook_keys: Secret[Any],
    now: float,
    on_unknown_key: Callable[[], None],
) -> WebhookEvent:
    if not isinstance(body.reveal(), (bytes, bytearray, memoryview)):
        raise InvalidArgument(
            f"body must be bytes, not {type(body.reveal()).__name__}",
            field="body",
            remedy="pass the raw bytes of the request's body",
        )
    extra = _extra_signers(webhook_keys)
    read = _token(authorization)
    head = f'{{"iss":{json_string(_issuer(read))},"nbf":'
    found = [signer for signer in (*extra, *signers) if signer.head == head]
    if not found:
        on_unknown_key()
        raise WebhookRejected(
            "the webhook's API key is unknown",
            code="unknown_key",
            remedy="respond with 503, so that LiveKit sends the webhook again; pass other keys as webhook_keys",
        )
    raw = Secret(bytes(body.reveal()))
    _verify(read, raw, found, now)
    fields = parse.json_object(raw)
    if fields is None:
        raise WebhookRejected("the webhook's body is not a JSON object", remedy="check that LiveKit is the sender")
    room, participant = fields.get("room"), fields.get("participant")
    return WebhookEvent(
        id=parse.text(fields, "id"),
        event=parse.text(fields, "event"),
        created_at=parse.moment(parse.number(fields, "created_at")),
        room=parse.room(room) if isinstance(room, dict) else None,
        participant=parse.participant(participant) if isinstance(participant, dict) else None,
        raw=fields,
    )


def _extra_signers(webhook_keys: Secret[Any]) -> list[Signer]:
    if webhook_keys.reveal() is None:
        return []
    if not isinstance(webhook_keys.reveal(), Mapping) or not all(
        _is_text(each) for pair in webhook_keys.reveal().items() for each in pair
    ):
        raise InvalidArgument(
            "webhook_keys must map API keys to API secrets, none of them empty or with a lone surrogate",
            field="webhook_keys",
            remedy="pass {api_key: api_secret}",
        )
    return [Signer(key, Secret(secret)) for key, secret in webhook_keys.reveal().items()]


def _is_text(value: object) -> bool:
    """Whether it is a non-empty str that UTF-8 can encode."""
    return isinstance(value, str) and value != "" and value.encode("utf-8", "replace").decode() == value


def _issuer(token: _jwt.Token) -> str:
    key = token.claims.get("iss")
    if token.header.get("alg") != "HS256" or not isinstance(key, str) or not key:
        raise WebhookRejected("the webhook's token has no API key, or another algorithm than HS256", remedy=_SENDER)
    return key


def _token(authorization: Secret[Any]) -> _jwt.Token:
    """The token in the Authorization header: LiveKit sends it without a scheme such as `Bearer`."""
    authorization = plain_secret(authorization)
    if authorization.reveal() is not None and not isinstance(authorization.reveal(), str):
        raise InvalidArgument(
            f"authorization must be a str, not {type(authorization.reveal()).__name__}",
            field="authorization",
            remedy="decode the header with latin-1" if isinstance(authorization.reveal(), bytes) else _UNCHANGED,
        )
    if not authorization.reveal():
        raise WebhookRejected(
            "the webhook has no Authorization header",
            code="missing_authorization",
            remedy="pass the header as it arrived, and check that no proxy removes it",
        )
    header = "the webhook's Authorization header"
    if len(authorization.reveal()) > _MAX_TOKEN:
        raise WebhookRejected(f"{header} is longer than {_MAX_TOKEN} characters", remedy=_SENDER)
    if _SCHEME.match(authorization.reveal()):
        raise WebhookRejected(f"{header} begins with a scheme", remedy=f"{_UNCHANGED}; LiveKit sends no scheme")
    try:
        return _jwt.read(authorization.reveal())
    except _jwt.InvalidToken:
        pass
    raise WebhookRejected(f"{header} is not a JWT", remedy=_SENDER)


def _verify(read: _jwt.Token, body: Secret[bytes], signers: Iterable[Signer], now: float) -> None:
    """Checks signature, validity period and body. After a secret was replaced under its key, there are several signers."""
    # Every signer is tried, so that the time does not depend on which one matches.
    if not sum(signer.verifies(read.signed, read.signature) for signer in signers):
        raise WebhookRejected(
            "the webhook's signature is wrong",
            code="bad_signature",
            remedy="check that the API secret is the one that LiveKit signs webhooks with",
        )
    begins, expires = _time(read, "nbf", 0.0), _time(read, "exp", None)
    if begins is None or expires is None:
        raise WebhookRejected("the webhook's token has no validity period", remedy=_SENDER)
    # Compared like this, because a sum with an integer that is too large for a float would raise.
    if begins > now + LEEWAY or expires <= now - LEEWAY:
        raise WebhookRejected(
            "the webhook has expired, or is not valid yet", code="expired", remedy="check this machine's clock"
        )
    claimed = read.claims.get("sha256")
    if not isinstance(claimed, str):
        raise WebhookRejected("the webhook's token contains no hash of the body", remedy=_SENDER)
    digest = b2a_base64(sha256(body.reveal()).digest(), newline=False)
    if not compare_digest(digest, claimed.encode("utf-8", "replace")):
        raise WebhookRejected(
            "the webhook's body differs from the one that LiveKit signed",
            code="body_mismatch",
            remedy="pass the raw bytes of the body, not decoded or parsed JSON",
        )


def _time(read: _jwt.Token, claim: str, default: float | None) -> float | None:
    value = read.claims.get(claim, default)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


_SENDER = "check that LiveKit is the sender"
_UNCHANGED = "pass LiveKit's header unchanged"
_SCHEME = re.compile("[A-Za-z]+ ")
