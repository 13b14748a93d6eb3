"""API claims: the payload of a token for LiveKit's server API."""

from __future__ import annotations

from ..errors import InvalidArgument
from ..grants import ApiGrants
from .claims import API_TTL, lifetime
from .json_string import json_string

# livekit-api writes these three into every token; they permit nothing without `roomJoin`.
_PARTICIPANT = '"canPublish":true,"canSubscribe":true,"canPublishData":true'
_VIDEO = {
    "room_admin": "roomAdmin",
    "room_create": "roomCreate",
    "room_list": "roomList",
    "room_record": "roomRecord",
    "ingress_admin": "ingressAdmin",
}


def api_payload(head: str, now: float, grants: ApiGrants, ttl: object) -> bytes:
    """The JSON payload of an API token: the claims that `livekit-api` makes for the same grants."""
    if not isinstance(grants, ApiGrants):
        raise InvalidArgument(
            f"grants must be an ApiGrants, not {type(grants).__name__}",
            field="grants",
            remedy="write ApiGrants(room_list=True)",
        )
    end = int(now + lifetime(ttl, allowed=API_TTL))
    video = [f'"{name}":true' for field, name in _VIDEO.items() if getattr(grants, field)]
    if grants.room is not None:
        video.append(f'"room":{json_string(grants.room)}')
    sip = ""
    if grants.sip_admin or grants.sip_call:
        sip = f',"sip":{{"admin":{_bool(grants.sip_admin)},"call":{_bool(grants.sip_call)}}}'
    return f'{head}{int(now)},"exp":{end},"sub":"","video":{{{",".join([*video, _PARTICIPANT])}}}{sip}}}'.encode()


def _bool(value: bool) -> str:
    return "true" if value else "false"
