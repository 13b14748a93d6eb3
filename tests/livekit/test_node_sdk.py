"""LiveKit's own SDK for Node as a stranger: it verifies our tokens, and its tokens say what ours say."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.grants import AgentDispatch, ParticipantGrants
from tests.livekit import node_sdk

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.livekit

KEY, SECRET = "APInode", "a-secret-of-more-than-thirty-two-bytes"


@dataclass
class Request:
    """One token, as our library is asked for it and as Node's SDK is asked for it."""

    participant: ParticipantInfo
    room: str = "room"
    grants: ParticipantGrants | None = None
    ttl: timedelta = timedelta(minutes=15)
    ours: dict[str, Any] = field(default_factory=dict)  # agents and room config, as we take them
    video: dict[str, Any] = field(default_factory=dict)  # the same grants, as Node takes them
    room_config: dict[str, Any] | None = None  # the same agents and room config, as Node takes them


CAMERA, MICROPHONE, SCREEN_SHARE, SCREEN_SHARE_AUDIO = 1, 2, 3, 4  # livekit_models.proto, enum TrackSource

REQUESTS = {
    "identity only": Request(ParticipantInfo("user-42")),
    "every field": Request(
        ParticipantInfo("user-42", "Ada", '{"plan": "gold"}', {"language": "en", "level": "3"}),
        ttl=timedelta(hours=6),
    ),
    "letters of all kinds": Request(
        ParticipantInfo("Žofie-🎻", 'Ada "the" O\'Neil \\', "\u2028\n\t\x00\x7f</script>", {"šatna": '"\\'}),
        room="Küche-🍳",
    ),
    "empty texts": Request(ParticipantInfo("user-42", "", "", {})),
    "listener": Request(
        ParticipantInfo("user-42"),
        grants=ParticipantGrants(can_publish=False),
        video={"canPublish": False, "canPublishData": False},
    ),
    "publisher of some sources": Request(
        ParticipantInfo("user-42"),
        grants=ParticipantGrants(
            can_subscribe=False,
            can_publish_sources=("camera", "microphone", "screen_share", "screen_share_audio"),
        ),
        video={
            "canSubscribe": False,
            "canPublishSources": [CAMERA, MICROPHONE, SCREEN_SHARE, SCREEN_SHARE_AUDIO],
        },
    ),
    "every grant": Request(
        ParticipantInfo("user-42"),
        grants=ParticipantGrants(
            can_publish_data=True,
            can_update_own_metadata=True,
            can_subscribe_metrics=True,
            can_manage_agent_session=True,
            hidden=True,
        ),
        video={
            "canUpdateOwnMetadata": True,
            "canSubscribeMetrics": True,
            "canManageAgentSession": True,
            "hidden": True,
        },
    ),
    "one agent": Request(
        ParticipantInfo("user-42"),
        ours={"agent_name": "clerk"},
        room_config={"agents": [{"agentName": "clerk"}]},
    ),
    "several agents": Request(
        ParticipantInfo("user-42"),
        ours={
            "agent_name": "clerk",
            "agents": [
                "interpreter",
                AgentDispatch("clerk", '{"k": "v"}', deployment="canary", attributes={"language": "cs"}),
                AgentDispatch("", metadata="to those without a name"),
            ],
        },
        room_config={
            "agents": [
                {"agentName": "clerk"},
                {"agentName": "interpreter"},
                {
                    "agentName": "clerk",
                    "metadata": '{"k": "v"}',
                    "deployment": "canary",
                    "attributes": {"language": "cs"},
                },
                {"metadata": "to those without a name"},
            ]
        },
    ),
    "room config": Request(
        ParticipantInfo("user-42"),
        ours={
            "room_config": {
                "name": "preset",
                "empty_timeout": 60,
                "departure_timeout": 30,
                "max_participants": 7,
                "min_playout_delay": 10,
                "max_playout_delay": 100,
                "sync_streams": True,
                "metadata": "the room's own",
                "tags": {"team": "blue"},
                "agents": [{"agent_name": "clerk", "restart_policy": "JRP_NEVER"}],
            }
        },
        room_config={
            "name": "preset",
            "emptyTimeout": 60,
            "departureTimeout": 30,
            "maxParticipants": 7,
            "minPlayoutDelay": 10,
            "maxPlayoutDelay": 100,
            "syncStreams": True,
            "metadata": "the room's own",
            "tags": {"team": "blue"},
            "agents": [{"agentName": "clerk", "restartPolicy": "JRP_NEVER"}],
        },
    ),
}


@pytest.fixture(scope="module")
def node() -> Path:
    """The folder with LiveKit's SDK for Node."""
    return node_sdk.installed()


@pytest.fixture(scope="module")
def voice() -> MossVoiceServerSync:
    """Our library with a pair of keys that no server needs to know."""
    return MossVoiceServerSync.from_livekit("wss://livekit.example", KEY, SECRET)


@pytest.fixture(scope="module")
def tokens(voice: MossVoiceServerSync) -> dict[str, str]:
    """Our token for each request."""
    return {
        title: voice.create_participant_token(
            request.participant, request.room, ttl=request.ttl, grants=request.grants, **request.ours
        )
        for title, request in REQUESTS.items()
    }


@pytest.fixture(scope="module")
def verified(node: Path, tokens: dict[str, str]) -> dict[str, Any]:
    """What Node's `TokenVerifier` says of each of our tokens."""
    questions = [{"verify": token, "key": KEY, "secret": SECRET} for token in tokens.values()]
    return dict(zip(tokens, node_sdk.ask(node, questions), strict=True))


@pytest.fixture(scope="module")
def theirs(node: Path) -> dict[str, str]:
    """The token that Node's `AccessToken` makes for each request."""
    questions = []
    for request in REQUESTS.values():
        who = request.participant
        permissions = {"canPublish": True, "canSubscribe": True, "canPublishData": True, **request.video}
        questions.append(
            {
                "key": KEY,
                "secret": SECRET,
                "mint": {
                    "identity": who.identity,
                    "name": who.name,
                    "metadata": who.metadata,
                    "attributes": who.attributes,
                    "ttl": int(request.ttl.total_seconds()),
                },
                "video": {"roomJoin": True, "room": request.room, **permissions},
                "room_config": request.room_config,
            }
        )
    answers = node_sdk.ask(node, questions)
    return {title: answer["token"] for title, answer in zip(REQUESTS, answers, strict=True)}


def comparable(token: str, now: float) -> dict[str, Any]:
    """A token's claims without the three differences that are tolerated:

    * `nbf` and `exp` are of the moment of minting: checked to be now and replaced by the time between them.
    * `roomConfig`: Node writes every field of every message, we those that were given; a field with its default
      (empty, 0, an enum's first value) means the same as an absent one in proto3's JSON, for LiveKit's server too.
    * The header, which is not among the claims: Node leaves out `typ`, which is optional (RFC 7519, section 5.1).
    """
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], issuer=KEY)
    assert abs(claims["nbf"] - now) < 120
    claims["lifetime"] = claims.pop("exp") - claims.pop("nbf")
    if "roomConfig" in claims:
        claims["roomConfig"] = _without_defaults(claims["roomConfig"])
    return claims


DEFAULTS: tuple[Any, ...] = ("", 0, False, [], {}, "JRP_ON_FAILURE")


def _without_defaults(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_defaults(item) for key, item in value.items() if item not in DEFAULTS}
    if isinstance(value, list):
        return [_without_defaults(item) for item in value]
    return value


@pytest.mark.parametrize("title", REQUESTS)
def test_node_verifies_our_token(title: str, tokens: dict[str, str], verified: dict[str, Any]) -> None:
    """Node's `TokenVerifier` accepts our token and reads the claims that PyJWT reads."""
    expected = jwt.decode(tokens[title], SECRET, algorithms=["HS256"])

    assert {"claims": expected} == verified[title]


@pytest.mark.parametrize("title", REQUESTS)
def test_node_makes_the_same_claims(title: str, tokens: dict[str, str], theirs: dict[str, str]) -> None:
    """For the same request Node's `AccessToken` makes the claims that we make, but for `comparable`'s list."""
    now = time.time()

    assert comparable(theirs[title], now) == comparable(tokens[title], now)


def test_headers_differ_in_typ_only(tokens: dict[str, str], theirs: dict[str, str]) -> None:
    """Both sign with HS256; we say `typ` as well."""
    ours = {tuple(sorted(jwt.get_unverified_header(token).items())) for token in tokens.values()}
    node = {tuple(sorted(jwt.get_unverified_header(token).items())) for token in theirs.values()}

    assert {(("alg", "HS256"), ("typ", "JWT"))} == ours
    assert {(("alg", "HS256"),)} == node


def test_node_refuses_what_is_not_ours(node: Path, tokens: dict[str, str]) -> None:
    """Its verifier does verify: another secret, another issuer, a changed payload and an expired token fail."""
    token = tokens["identity only"]
    header, _, signature = token.split(".")
    old = jwt.decode(token, SECRET, algorithms=["HS256"]) | {"exp": int(time.time()) - 60}

    answers = node_sdk.ask(
        node,
        [
            {"verify": token, "key": KEY, "secret": SECRET[::-1]},
            {"verify": token, "key": "APIother", "secret": SECRET},
            {"verify": f"{header}.{tokens['every field'].split('.')[1]}.{signature}", "key": KEY, "secret": SECRET},
            {"verify": jwt.encode(old, SECRET, algorithm="HS256"), "key": KEY, "secret": SECRET},
        ],
    )

    assert [["error"]] * 4 == [list(answer) for answer in answers]
