"""Reading: from a token's text to its header and claims, whoever signed it, or to the reason why it is none."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from binascii import Error
from math import isfinite
from typing import Any, NamedTuple, NoReturn

from .._secret import Secret
from .finding import Finding, error, kind

_PART = re.compile(r"[A-Za-z0-9_-]*")
_BEARER = re.compile(r"(authorization:\s*)?bearer\s", re.IGNORECASE)
_INSIDE = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
_WHOLE_ANSWER = ("participant_token", "participantToken")
_MINT = "take the token as it was minted, three parts with two dots between, and nothing around it"


class Token(NamedTuple):
    """A token that was taken apart; its signature is not checked."""

    header: dict[str, Any]
    claims: dict[str, Any]
    size: int
    """Bytes of the whole token."""
    signed: Secret[bytes]
    """What the signature is over."""
    signature: Secret[bytes]


def read(text: str) -> Token | Finding:
    """Takes a token apart. What files and pipes have around it is left out: white space, a byte order mark."""
    token = text.strip().strip("\ufeff").strip()
    wrong = _shape(token)
    if wrong:
        return wrong
    header, payload, signature = token.split(".")
    parts: list[dict[str, Any]] = []
    for name, part in (("header", header), ("payload", payload)):
        value = _json(part)
        if not isinstance(value, dict):
            found = "not JSON" if value is _UNREADABLE else f"{kind(value)}, not an object"
            return error("malformed", f"the token's {name} is {found}", _MINT)
        parts.append(value)
    signed = Secret(f"{header}.{payload}".encode())
    decoded = _decoded(signature)
    if decoded is None:
        return error("malformed", "the token's signature is cut off", _MINT)
    return Token(parts[0], parts[1], len(token), signed, Secret(decoded))


def _shape(token: str) -> Finding | None:
    if not token:
        return error("malformed", "there is no token: the text is empty", _MINT)
    if "\0" in token:
        return error("malformed", "this is UTF-16, as PowerShell writes files, or no text at all", "write it as UTF-8")
    if _BEARER.match(token):
        return error("malformed", "this is a header, not a token", "leave out the word Bearer, and all before it")
    if token[0] in "\"'":
        return error("malformed", "there are quotes around the token", "leave the quotes out")
    if token[0] == "{":
        if any(f'"{name}"' in token for name in _WHOLE_ANSWER):
            return error(
                "malformed", "this is a token endpoint's whole answer", "take the value of its field participant_token"
            )
        return error("malformed", "this is a JSON object, not a token", _MINT)
    if "access_token=" in token:
        return error(
            "malformed",
            "this is an address, not a token",
            "take the value of its parameter access_token, up to the next &",
        )
    if any(char.isspace() for char in token):
        return error(
            "malformed",
            "there is a line break or another white space inside the token",
            "put it on one line: terminals and mail programs break long ones",
        )
    parts = token.split(".")
    if len(parts) == 5 and all(map(_PART.fullmatch, parts)):
        return error(
            "malformed",
            "this is an encrypted token (JWE, RFC 7516), with five parts; LiveKit takes signed ones only",
            "sign with HS256 and the API secret, and do not encrypt",
        )
    if len(parts) != 3:
        dots = {1: "no dot", 2: "one dot"}.get(len(parts), f"{len(parts) - 1} dots")
        return error("malformed", f"this is not a JSON Web Token: it has {dots} and not two", _MINT)
    if any(part.endswith("=") for part in parts):
        return error(
            "padded",
            "a part of the token is padded with =; LiveKit answers 401 (RFC 7515, section 2: no padding)",
            "strip the = when the token is made, or use a JWT library",
        )
    if not all(map(_PART.fullmatch, parts)) and _INSIDE.search(token):
        return error(
            "malformed",
            "there is something before the token, or behind it",
            "take the token alone: letters, digits, - and _, and the two dots",
        )
    if not all(map(_PART.fullmatch, parts)):
        return error("malformed", "the token holds a character that base64url does not have", _MINT)
    return None


class _Refused(Exception):
    """Raised inside the JSON decoder."""


def _no_constant(_name: str) -> NoReturn:
    raise _Refused


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise _Refused
    return number


_decode = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite).decode
_UNREADABLE = object()
_MAX_DEPTH = 32  # of objects and arrays; an egress has seven levels


def _decoded(part: str) -> bytes | None:
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (Error, ValueError):
        return None


def _json(part: str) -> Any:
    decoded = _decoded(part)
    try:
        value = _UNREADABLE if decoded is None else _decode(decoded.decode())
    except (_Refused, ValueError, RecursionError):
        return _UNREADABLE
    return value if _is_shallow(value) else _UNREADABLE


def _is_shallow(value: object) -> bool:
    """So that whoever walks through the value may use recursion."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        nested = [each for each in level if isinstance(each, (dict, list))]
        level = [item for each in nested for item in (each.values() if isinstance(each, dict) else each)]
    return not level
