"""Token endpoint: its rules without I/O: what may be asked, what an admission makes of a request, and how each answer reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from math import ceil
from typing import Any, NamedTuple

from ..endpoint import Admission, TokenRequest
from ..errors import InvalidArgument
from ..grants import AgentDispatch, ParticipantInfo
from .parse import MAX_BODY, NOTHING

# On every answer, errors too: a token must not stay in a cache, a log of referrers, or be taken for a page.
_HEADERS = (
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
    ("pragma", "no-cache"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
)


class Reply(NamedTuple):
    """An answer: header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Grant(NamedTuple):
    """What an admission makes of a request: the arguments of the token."""

    participant: ParticipantInfo
    room: str
    agents: tuple[AgentDispatch | str, ...]
    admission: Admission


# The messages are fixed: they are for a developer who reads a browser's console, and hold nothing of the request.
_MESSAGES = {
    "method_not_allowed": "Send a POST request.",
    "unsupported_media_type": "Send Content-Type: application/json.",
    "body_too_large": f"Send at most {MAX_BODY} bytes.",
    "body_incomplete": "The body broke off, or took too long.",
    "invalid_json": "Send one JSON object in UTF-8, without duplicate keys.",
    "too_deep": "The JSON is nested too deeply.",
    "unknown_field": "The request has a field that the token endpoint standard does not have.",
    "invalid_field": "A field has the wrong type.",
    "invalid_value": "A value is too long, or holds characters that are not allowed.",
    "too_many_agents": "At most 8 agents can be asked for.",
    "duplicate_agent": "An agent can be asked for once.",
    "origin_not_allowed": "Requests from this origin are not allowed.",
    "unauthenticated": "Sign in first.",
    "room_not_allowed": "This room is not open to you.",
    "identity_not_allowed": "The identity is given by the server: leave participant_identity out.",
    "name_not_allowed": "The name is given by the server: leave participant_name out.",
    "metadata_not_allowed": "The metadata is given by the server: leave participant_metadata out.",
    "attribute_not_allowed": "This attribute is not open to you.",
    "agent_not_allowed": "This agent is not open to you.",
    "room_config_not_allowed": "room_config may only ask for agents.",
    "rate_limited": "Too many requests: try again later.",
    "unavailable": "Tokens cannot be made at the moment: try again later.",
    "internal_error": "Something went wrong on the server.",
}
_BY_STATUS = {401: "Sign in first.", 403: "This is not allowed."}


def error(status: int, code: str, *extra: tuple[str, str]) -> Reply:
    """An error's answer. Its body never has the keys of a success: there are clients that do not look at the status."""
    message = _MESSAGES.get(code) or _BY_STATUS.get(status, "The request was refused.")
    if status == 401:
        extra = (("www-authenticate", "Bearer"), *extra)  # RFC 9110, section 11.6.1: a 401 names a scheme
    return _reply(status, f'{{"error":"{code}","message":{quoted(message)}}}', *extra)


def retry_later(status: int, code: str, seconds: float) -> Reply:
    """An error that passes: in how many whole seconds."""
    return error(status, code, ("retry-after", str(max(1, min(ceil(seconds), 86400)))))


def created(server_url: str, token: str) -> Reply:
    """The answer to a granted request (docs.livekit.io, "Endpoint token generation")."""
    return _reply(201, f'{{"server_url":{quoted(server_url)},"participant_token":"{token}"}}')


def _reply(status: int, content: str, *extra: tuple[str, str]) -> Reply:
    body = content.encode()
    return Reply(status, _headers(len(body), extra), body)


@lru_cache(maxsize=256)
def _headers(length: int, extra: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The same object for answers that are alike."""
    return (*_HEADERS, *extra, ("content-length", str(length)))


def screen(method: str, content_type: str, content_length: str) -> Reply | None:
    """What can be refused before the body is read; `None`: go on."""
    if method != "POST":
        # A GET would be sent by a mere link, and its answer kept by caches and logs.
        return error(405, "method_not_allowed", ("allow", "POST"))
    # Only this type makes a browser ask first (CORS preflight): a form on another site cannot send it.
    if content_type != "application/json" and not _is_json(content_type):
        return error(415, "unsupported_media_type")
    # ASCII first: "²" is a digit to Python, and no number.
    if content_length and not (
        content_length.isascii()
        and content_length.isdigit()
        and len(content_length) <= 18
        and int(content_length) <= MAX_BODY
    ):
        return error(413, "body_too_large")
    return None


def _is_json(content_type: str) -> bool:
    return (
        re.fullmatch(r"application/json\s*(;\s*charset\s*=\s*\"?utf-8\"?\s*)?", content_type.strip(), re.I) is not None
    )


def decide(admission: Admission, token_request: TokenRequest, new_room: str) -> Grant | Reply:
    """Brings an admission and a request together: everything that the admission does not say is refused."""
    participant = admission.participant
    if token_request is NOTHING:  # most clients' request, of which nothing below says anything
        return Grant(participant, admission.room or new_room, admission.agents, admission)
    if token_request.participant_identity is not None and token_request.participant_identity != participant.identity:
        return error(403, "identity_not_allowed")
    room = admission.room or new_room
    if token_request.room_name is not None and token_request.room_name != admission.room:
        if not _may_name(admission.allowed_rooms, token_request.room_name):
            return error(403, "room_not_allowed")
        room = token_request.room_name
    name, metadata, attributes = participant.name, participant.metadata, participant.attributes
    sets = admission.client_may_set
    if token_request.participant_name is not None and token_request.participant_name != name:
        if "name" not in sets:
            return error(403, "name_not_allowed")
        name = token_request.participant_name
    if token_request.participant_metadata is not None and token_request.participant_metadata != metadata:
        if "metadata" not in sets:
            return error(403, "metadata_not_allowed")
        metadata = token_request.participant_metadata
    if token_request.participant_attributes:
        if "attributes" not in sets or (
            attributes and not token_request.participant_attributes.keys().isdisjoint(attributes)
        ):
            return error(403, "attribute_not_allowed")
        attributes = {**(attributes or {}), **token_request.participant_attributes}
    if any(agent.agent_name not in admission.allowed_agents for agent in token_request.agents):
        return error(403, "agent_not_allowed")
    if (name, metadata, attributes) != (participant.name, participant.metadata, participant.attributes):
        participant = ParticipantInfo(participant.identity, name, metadata, attributes)
    return Grant(participant, room, token_request.agents or admission.agents, admission)


def _may_name(rooms: Any, room: str) -> bool:
    if isinstance(rooms, re.Pattern):
        return rooms.fullmatch(room) is not None
    if callable(rooms):
        answer = rooms(room)
        if not isinstance(answer, bool):
            # A coroutine is true, too: an async function here would let everybody in everywhere.
            raise InvalidArgument(
                f"the function given as rooms must return True or False at once, not {type(answer).__name__}",
                field="rooms",
            )
        return answer
    return room in rooms


class Cors:
    """Cross-origin rules (fetch.spec.whatwg.org, "CORS protocol"): an exact list of origins; empty: none, no headers at all."""

    def __init__(self, allow_origins: Any) -> None:
        if isinstance(allow_origins, str) or not isinstance(allow_origins, Iterable):
            raise InvalidArgument("origins must be a list, such as ['https://app.example']", field="allow_origins")
        allow_origins = tuple(allow_origins)
        for origin in allow_origins:
            # Any scheme: an app in a web view has one of its own, such as capacitor://localhost.
            if not isinstance(origin, str) or not re.fullmatch(r"[a-z][a-z0-9+.-]*://[a-z0-9.\[\]:_-]+", origin):
                raise InvalidArgument(
                    "origins must be written as browsers send them: scheme, host in lower case and any port, no path and no "
                    "slash at the end, such as https://app.example; * is not possible, list them",
                    field="allow_origins",
                )
            if (origin.startswith("https:") and origin.endswith(":443")) or (
                origin.startswith("http:") and origin.endswith(":80")
            ):
                raise InvalidArgument(
                    f"origins has {origin}, which no browser sends: leave the scheme's own port out",
                    field="allow_origins",
                )
        self._origins = frozenset(allow_origins)

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may ask."""
        return origin in self._origins

    def preflight(self, method: str, origin: str, asked_method: str, asked_headers: str) -> Reply | None:
        """The answer to a browser's question beforehand; `None` if this is none."""
        if method != "OPTIONS" or not self._origins or not asked_method:
            return None
        if not self.allows(origin):
            return error(403, "origin_not_allowed")
        # The apps' own headers carry its authentication: an origin that is listed may send any.
        names = asked_headers if re.fullmatch(r"[A-Za-z0-9_, -]{1,512}", asked_headers) else "content-type"
        headers = (
            *_HEADERS[1:],
            ("access-control-allow-methods", "POST"),
            ("access-control-allow-headers", names),
            ("access-control-max-age", "600"),
        )  # and no Content-Length: a 204 may not have one (RFC 9110, section 8.6)
        return Reply(204, headers, b"")

    def dress(self, reply: Reply, origin: str) -> Reply:
        """The same answer, readable by pages of an origin that is allowed; without this a browser hides even the error."""
        if not self._origins:
            return reply
        headers: tuple[tuple[str, str], ...] = (*reply.headers, ("vary", "origin"))
        if self.allows(origin):
            headers += (
                ("access-control-allow-origin", origin),
                ("access-control-allow-credentials", "true"),
                ("access-control-expose-headers", "retry-after"),
            )
        return reply._replace(headers=headers)
