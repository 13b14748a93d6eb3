"""Random arguments of `create_participant_token`, and the token that livekit-api makes of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from google.protobuf.json_format import ParseDict
from hypothesis import strategies as st
from livekit.api import AccessToken, VideoGrants
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.grants import PUBLISH_SOURCES, AgentDispatch, ParticipantGrants
from tests.support.tokens import API_KEY, API_SECRET, URL

SERVER = MossVoiceServerSync.from_livekit(URL, API_KEY, API_SECRET)


class Request(NamedTuple):
    """The arguments of `create_participant_token`. The room config is a mapping in snake_case."""

    participant: ParticipantInfo
    room: str
    agent_name: str | None
    seconds: int
    grants: ParticipantGrants | None
    agents: tuple[AgentDispatch | str, ...]
    room_config: dict[str, Any] | None

    def mint(self, room_config: Any = ..., server: MossVoiceServerSync = SERVER) -> str:
        """Our token; `room_config` in another form if given."""
        return server.create_participant_token(
            self.participant,
            self.room,
            self.agent_name,
            ttl=self.seconds,
            grants=self.grants,
            agents=self.agents,
            room_config=self.room_config if room_config is ... else room_config,
        )

    @property
    def message(self) -> RoomConfiguration | None:
        """The room config as LiveKit's own message."""
        return None if self.room_config is None else ParseDict(self.room_config, RoomConfiguration())


# Requests that LiveKit can serve.

CHARACTERS = st.characters(exclude_categories=["Cs"])
VISIBLE = st.characters(exclude_categories=["Cs", "Cc"])
TEXT = st.text(CHARACTERS, max_size=30) | st.sampled_from(
    ['{"a": [1, "\\u0000"]}', "\0\x1f\x7f\x85\u2028", '"\\', "🏳️‍🌈 שלום"]
)
LABEL = (
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=40)
    | st.text(VISIBLE, min_size=1, max_size=64)
    | st.text("é\u2028🎤x", min_size=100, max_size=128).map(lambda text: text.encode()[:256].decode(errors="ignore"))
)
TITLE = LABEL.filter(lambda text: bool(text.strip()))  # where blank is refused
TEXTS = st.dictionaries(TEXT, TEXT, max_size=4)
DEPLOYMENT = st.text(st.characters(codec="ascii", min_codepoint=0x21, exclude_characters="_\x7f"), max_size=64)

PARTICIPANTS = st.builds(ParticipantInfo, TITLE, st.none() | st.just("") | LABEL, st.none() | TEXT, st.none() | TEXTS)
GRANTS = st.builds(
    ParticipantGrants,
    *(st.booleans(), st.booleans(), st.none() | st.booleans()),
    st.lists(st.sampled_from(PUBLISH_SOURCES), max_size=5).map(tuple),
    *[st.booleans()] * 4,
)
DISPATCHES = st.builds(AgentDispatch, st.just("") | TITLE, TEXT, DEPLOYMENT, TEXTS)
NUMBER = st.integers(0, 2**32 - 1)
# Only what protobuf's JSON would write back: it leaves out what has its default value.
TRUE, WORD = st.just(True), st.text(VISIBLE, min_size=1, max_size=12)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with some of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


FILES = some(
    filepath=WORD,
    file_type=st.sampled_from(["MP4", "OGG"]),
    disable_manifest=TRUE,
    s3=some(access_key=WORD, bucket=WORD, force_path_style=TRUE),
)
FILE_OUTPUTS = st.lists(FILES, min_size=1, max_size=2)
EGRESS = some(
    room=some(
        room_name=WORD,
        layout=WORD,
        audio_only=TRUE,
        custom_base_url=WORD,
        preset=st.sampled_from(["H264_720P_60", "PORTRAIT_H264_1080P_30"]),
        file_outputs=FILE_OUTPUTS,
    ),
    participant=some(file_outputs=FILE_OUTPUTS),
    tracks=some(filepath=WORD, aliOSS=st.just({"bucket": "b"})),
)
CONFIG_AGENTS = some(
    agent_name=TITLE | st.just(""),
    metadata=TEXT,
    restart_policy=st.sampled_from(["JRP_ON_FAILURE", "JRP_NEVER", 0, 1]),
    deployment=DEPLOYMENT,
    attributes=TEXTS,
)
ROOM_CONFIGS = some(
    name=LABEL | st.just(""),
    empty_timeout=NUMBER,
    departure_timeout=NUMBER,
    max_participants=NUMBER,
    egress=EGRESS,
    min_playout_delay=NUMBER,
    max_playout_delay=NUMBER,
    sync_streams=st.booleans(),
    agents=st.lists(CONFIG_AGENTS, max_size=3),
    metadata=TEXT,
    tags=TEXTS,
)
REQUESTS = st.builds(
    Request,
    PARTICIPANTS,
    TITLE,
    st.none() | st.just("") | TITLE,
    st.integers(60, 86_400),
    st.none() | GRANTS,
    st.lists(DISPATCHES | TITLE, max_size=3).map(tuple),
    st.none() | ROOM_CONFIGS,
)


# The same request, put to livekit-api.


def theirs(request: Request) -> str:
    """The token that livekit-api makes, written as its documentation shows it."""
    who, may = request.participant, request.grants or ParticipantGrants()
    token = (
        AccessToken(API_KEY, API_SECRET)
        .with_identity(who.identity)
        .with_ttl(timedelta(seconds=request.seconds))
        .with_grants(
            VideoGrants(
                room_join=True,
                room=request.room,
                can_publish=may.can_publish,
                can_subscribe=may.can_subscribe,
                # The difference that is meant: their default is True, whatever can_publish says.
                can_publish_data=may.can_publish if may.can_publish_data is None else may.can_publish_data,
                can_publish_sources=list(may.can_publish_sources) or None,
                can_update_own_metadata=may.can_update_own_metadata or None,
                can_subscribe_metrics=may.can_subscribe_metrics or None,
                can_manage_agent_session=may.can_manage_agent_session or None,
                hidden=may.hidden or None,
            )
        )
    )
    if who.name is not None:
        token = token.with_name(who.name)
    if who.metadata is not None:
        token = token.with_metadata(who.metadata)
    if who.attributes is not None:
        token = token.with_attributes(dict(who.attributes))
    named = ([AgentDispatch(request.agent_name)] if request.agent_name else []) + [
        AgentDispatch(agent) if isinstance(agent, str) else agent for agent in request.agents
    ]
    if named or request.room_config is not None:
        config = request.message or RoomConfiguration()
        dispatches = [
            RoomAgentDispatch(
                agent_name=agent.agent_name,
                metadata=agent.metadata,
                deployment=agent.deployment,
                attributes=dict(agent.attributes),
            )
            for agent in named
        ]
        dispatches += config.agents
        config.ClearField("agents")
        config.agents.extend(dispatches)
        token = token.with_room_config(config)
    return token.to_jwt()
