"""Responses: how each outcome of a token request reads on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring_ascii as json_string_ascii
from math import ceil

from .._validation import plain_str
from ..grants import ParticipantInfo
from .parse import MAX_BODY
from .refusal import Headers, Refusal

# On every response, errors included: a token must not be stored by a cache or read as a page.
COMMON_HEADERS: Headers = (
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
    ("pragma", "no-cache"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
)


@dataclass(slots=True, repr=False)  # in half the time of a named tuple
class Response:
    """An HTTP response; header names are in lower case. `repr` does not show the token."""

    status: int
    headers: Headers
    body: bytes


# Fixed texts for a developer who reads the browser's console; they contain nothing of the request.
_MESSAGES = {
    "method_not_allowed": "Use the POST method.",
    "unsupported_media_type": "Set Content-Type to application/json.",
    "unsupported_encoding": "Send the request body without Content-Encoding.",
    "length_required": "Send a Content-Length header instead of a chunked body.",
    "invalid_length": "The Content-Length header must be a whole number.",
    "body_too_large": f"Request body too large: at most {MAX_BODY} bytes are allowed.",
    "body_incomplete": "Request body incomplete or timed out.",
    "invalid_json": "The request body must be one JSON object in UTF-8, without duplicate keys.",
    "too_deep": "The JSON is nested too deeply.",
    "unknown_field": "The request contains a field that is not part of the token endpoint standard.",
    "invalid_field": "A field has the wrong type.",
    "invalid_value": "A value is too long or contains characters that are not allowed.",
    "too_many_agents": "At most 8 agents can be requested.",
    "duplicate_agent": "An agent can be requested only once.",
    "origin_not_allowed": "Requests from this origin are not allowed.",
    "unauthenticated": "Authentication required.",
    "room_not_allowed": "This room is not allowed.",
    "identity_not_allowed": "The server sets the identity: omit participant_identity.",
    "name_not_allowed": "The server sets the name: omit participant_name.",
    "metadata_not_allowed": "The server sets the metadata: omit participant_metadata.",
    "attribute_not_allowed": "This attribute is not allowed.",
    "agent_not_allowed": "This agent is not allowed.",
    "agent_metadata_not_allowed": "The server sets the agent's metadata: omit it.",
    "agent_deployment_not_allowed": "The server sets the agent's deployment: omit it.",
    "room_config_not_allowed": "Only the agents of room_config can be requested.",
    "rate_limited": "Too many requests: try again later.",
    "unavailable": "Tokens are temporarily unavailable: try again later.",
    "internal_error": "Internal server error.",
}
_BY_STATUS = {401: "Authentication required.", 403: "Access denied."}


def refusal_response(refusal: Refusal) -> Response:
    """The response to a refused request. Its body never has the keys of a success: some clients ignore the status."""
    message = _MESSAGES.get(refusal.code) or _BY_STATUS.get(refusal.status, "The request was refused.")
    body = f'{{"error":"{refusal.code}","message":{json_string_ascii(message)}}}'.encode()
    headers = refusal.headers
    if refusal.status == 401 and all(name != "www-authenticate" for name, _ in headers):
        headers = (("www-authenticate", "Bearer"), *headers)  # RFC 9110, section 11.6.1: a 401 names a challenge
    return Response(refusal.status, _headers(len(body), headers), body)


def retry_after(seconds: float) -> Headers:
    """The header that says in how many whole seconds a retry makes sense, at most a day."""
    return (("retry-after", str(max(1, ceil(min(86400, seconds))))),)


def token_response(keys: str, url: str, token: str, room: str, participant: ParticipantInfo) -> Response:
    """The response to a granted request (docs.livekit.io, "Endpoint token generation")."""
    server_url = json_string_ascii(url)
    snake = f'"server_url":{server_url},"participant_token":"{token}"'
    if keys == "snake":
        body = f"{{{snake}}}".encode()
    else:
        names = json_string_ascii(room), json_string_ascii(plain_str(participant.name) or "")
        camel = (
            f'"serverUrl":{server_url},"participantToken":"{token}","roomName":{names[0]},"participantName":{names[1]}'
        )
        body = (f"{{{camel}}}" if keys == "camel" else f"{{{snake},{camel}}}").encode()
    return Response(201, _headers(len(body), ()), body)


@lru_cache(maxsize=256)
def _headers(length: int, extra: Headers) -> Headers:
    """The same object for equal headers, so that adapters can cache what they make of it."""
    return (*COMMON_HEADERS, *extra, ("content-length", str(length)))
