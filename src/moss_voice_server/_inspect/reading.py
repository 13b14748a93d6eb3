"""Split a token's text into header, claims and signature, or say what the text is instead."""

from __future__ import annotations

import re
from functools import partial

from .. import _jwt
from .._jwt import Token
from .finding import Finding, Rule, apply

_PART = re.compile(r"[A-Za-z0-9_-]*")
_BEARER = re.compile(r"(authorization:\s*)?bearer\s", re.IGNORECASE)
_INSIDE = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
_RESPONSE = re.compile(r'\{.*"(participant_token|participantToken)"', re.DOTALL)
_PATH = re.compile(r"(?!.*eyJ).*(?:[/\\].*|\.(?:txt|jwt|json|token))")
_COPY = "copy the token as it was created: three parts separated by dots, and nothing around it"


def read(text: str) -> Token | Finding:
    """Split a token. Whitespace and a byte order mark around it, which files and pipes add, are ignored."""
    token = text.strip().strip("\ufeff").strip()
    wrong = next(apply(_SHAPES, token), None)
    if wrong:
        return wrong
    try:
        return _jwt.read(token)
    except _jwt.InvalidToken as error:
        message = _INVALID.get(error.reason, "the {} part of the token is cut off or damaged")
        return Finding("malformed", "error", message.format(error.part), _COPY)


_INVALID = {
    "json": "the {} part of the token is not strict JSON (RFC 8259), or too deeply nested",
    "type": "the {} part of the token is not a JSON object",
}


def _parts(token: str) -> list[str]:
    return token.split(".")


def _is_base64url(token: str) -> bool:
    return all(map(_PART.fullmatch, _parts(token)))


_malformed = partial(Rule, "malformed", "error")
# The first that applies counts.
# fmt: off
_SHAPES = (
    _malformed(lambda token: not token, "the text is empty", _COPY),
    _malformed(lambda token: "\0" in token, "the text is UTF-16, as PowerShell writes files, or binary", "save it as UTF-8"),
    _malformed(lambda token: _BEARER.match(token) is not None, "this is a header, not a token",
               "remove the word Bearer and everything before it"),
    _malformed(lambda token: token[0] in "\"'", "the token is in quotes", "remove the quotes"),
    _malformed(lambda token: _RESPONSE.match(token) is not None, "this is a token endpoint's whole response",
               "use the value of its field participant_token"),
    _malformed(lambda token: token[0] == "{", "this is a JSON object, not a token", _COPY),
    _malformed(lambda token: "access_token=" in token, "this is a URL, not a token",
               "use the value of its parameter access_token, up to the next &"),
    _malformed(lambda token: any(char.isspace() for char in token),
               "the token contains a line break or other whitespace",
               "put it on one line: terminals and email programs break long lines"),
    _malformed(lambda token: _PATH.fullmatch(token) is not None,
               "this is not a JSON Web Token: expected three parts separated by dots", "if this is a file, pass its content"),
    _malformed(lambda token: len(_parts(token)) == 5 and _is_base64url(token),
               "this is an encrypted token (JWE, RFC 7516); LiveKit accepts signed tokens only",
               "sign with HS256 and the API secret, and do not encrypt"),
    _malformed(lambda token: str(len(_parts(token))) if len(_parts(token)) != 3 else None,
               "this is not a JSON Web Token: expected three parts separated by dots, found {}", _COPY),
    Rule("padded", "error", lambda token: any(part.endswith("=") for part in _parts(token)),
         "a part of the token is padded with =; LiveKit answers 401 (RFC 7515, section 2: no padding)",
         "strip the = when the token is created, or use a JWT library"),
    _malformed(lambda token: not _is_base64url(token) and _INSIDE.search(token) is not None,
               "there is text before or after the token", "copy only the token: letters, digits, - and _, and the two dots"),
    _malformed(lambda token: not _is_base64url(token), "the token contains a character that is not base64url", _COPY),
)
# fmt: on
