"""`moss-voice-server token`: create one join token and print it."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from .._escape import escape
from .._random import new_guest, new_room
from ..errors import InvalidArgument
from . import _credential_options, _output
from ._arguments import REPEATED, Command, Option, Parser, add_options, nonblank, pair, read_file, ttl

if TYPE_CHECKING:
    import argparse

    from ..grants import AgentDispatch, ParticipantGrants

_DESCRIPTION = """\
Create a token with which one participant joins one room, and print it alone on
standard output. What was chosen for you is printed on standard error.

The credentials come from the Moss API, for the voice agent that the environment
names: MOSS_PROJECT_ID, MOSS_PROJECT_KEY, MOSS_VOICE_AGENT_ID and, optionally,
MOSS_PLATFORM_API_URL; each may be <NAME>_FILE, a file that contains the value.
Where none of them is set, LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET
(or its _FILE) are used instead.
"""
_EPILOG = """\
examples:
  moss-voice-server token
  moss-voice-server token --identity user-42 --room support --ttl 5m
  moss-voice-server token --name Ada --attribute plan=gold --source microphone
  moss-voice-server token --agent support-agent --agent-metadata '{"lang":"en"}'
  moss-voice-server token --json | jq -r .participant_token
  moss-voice-server token --livekit-url ws://127.0.0.1:7880 --api-key devkey \\
      --api-secret - < secret.txt

exit status: 0 token created, 1 no credentials available, 2 wrong usage
"""
_WHO: dict[str, Option] = {
    "--identity ID": "unique in the room (default: a new guest-...)",
    "--room NAME": "the room (default: a new one with a random name)",
    "--name NAME": "display name",
    "--metadata TEXT": "any text, for others and the agent",
    "--attribute KEY=VALUE": ("an attribute of the participant; repeat it for more", {"type": pair, **REPEATED}),
    "--ttl TIME": (
        "how long it can be used to join: 90s, 15m, 2h or seconds; 1m to 24h (default: 15m)",
        {"type": ttl, "default": ttl("15m")},
    ),
}
_MEDIA = {"--no-publish": "publish no audio or video, and send no data", "--no-subscribe": "receive no audio or video"}
_DATA: dict[str, Option] = {
    "--publish-data": ("send data messages, even with --no-publish", {"default": None}),
    "--no-publish-data": ("send no data messages", {"dest": "publish_data", "action": "store_false"}),
}
_PERMISSIONS: dict[str, Option] = {
    "--source SOURCE": (
        "publish only this source: camera, microphone, screen_share or screen_share_audio; repeat it for more",
        REPEATED,
    ),
    "--hidden": "be invisible to others",
    "--update-own-metadata": "change one's own name, metadata and attributes",
    "--subscribe-metrics": "receive the metrics that participants report",
    "--manage-agent-session": "control the agent's session",
}
_AGENT: dict[str, Option] = {
    "--agent NAME": ("dispatch this agent; repeat it for more", {"type": nonblank, **REPEATED}),
    "--no-agent": "name no agent",
}
_JOB = {
    "--agent-metadata TEXT": "any text, for the job of each agent",
    "--agent-deployment NAME": "the deployment of each agent (default: production)",
    "--room-config FILE|JSON": "LiveKit's room configuration in snake_case, as a file or as '{\"max_participants\": 2}'",
}
_OUTPUT = {
    "--url": "two lines: the LiveKit server's URL, then the token",
    "--json": "an object: server_url, participant_token, room_name, participant_identity, agents, expires_at (UTC)",
}


def add(parser: Parser) -> None:
    add_options(parser.add_argument_group("who joins, and where"), _WHO)
    permissions = parser.add_argument_group("permissions", "By default: publish, subscribe and send data.")
    add_options(permissions, _MEDIA)
    add_options(permissions.add_mutually_exclusive_group(), _DATA)
    add_options(permissions, _PERMISSIONS)
    agents = parser.add_argument_group(
        "agents",
        "LiveKit dispatches them when the room is new. By default, the token names\n"
        "Moss's voice agent. With LiveKit credentials, or --no-agent, it names none,\n"
        "and LiveKit dispatches the unnamed workers.",
    )
    add_options(agents.add_mutually_exclusive_group(), _AGENT)
    add_options(agents, _JOB)
    _credential_options.add(
        parser, "Instead of the Moss API's. The others come from the LIVEKIT_ variables named\nabove."
    )
    add_options(parser.add_argument_group("output").add_mutually_exclusive_group(), _OUTPUT)


def run(options: argparse.Namespace) -> int:
    """Check all arguments, then fetch the credentials; create the token and print it."""
    from .._jwt import read
    from .._token.claims import payload
    from ..grants import ParticipantInfo

    identity = new_guest() if options.identity is None else options.identity
    room = new_room() if options.room is None else options.room
    participant = ParticipantInfo(identity, options.name, options.metadata, _attributes(options) or None)
    grants, room_config = _grants(options), _room_config(options.room_config)
    has_default_agent = not options.no_agent and not options.agent and not (room_config or {}).get("agents")
    # Wrong arguments are reported before any credentials are fetched; any name stands for the default agent's.
    agents = _agents(options, ["agent"] if has_default_agent else [])
    payload("", 0.0, participant, room, None, options.ttl, grants, agents, room_config)
    with _credential_options.server(options) as server:
        name = server.get_agent_name() if has_default_agent else ""
        agents = _agents(options, [name] if name else [])
        token = server.create_participant_token(
            participant, room, ttl=options.ttl, grants=grants, agents=agents, room_config=room_config
        )
        url = server.get_server_url()
    if options.json:
        answer = {
            "server_url": url,
            "participant_token": token,
            "room_name": room,
            "participant_identity": identity,
            "agents": [each.agent_name for each in agents],
            "expires_at": datetime.fromtimestamp(read(token).claims["exp"], timezone.utc),
        }
        _output.print_json(answer)
        return 0
    if options.identity is None:
        _output.note(f"identity {identity} (random)")
    if options.room is None:
        _output.note(f"room {room} (random)")
    if name:
        _output.note(f"agent {escape(name)} (from Moss)")
    print(*([url] if options.url else []), token, sep="\n")
    return 0


def _attributes(options: argparse.Namespace) -> dict[str, str]:
    attributes = dict(options.attribute)
    if len(attributes) != len(options.attribute):
        raise InvalidArgument("an attribute is given twice", field="attributes", remedy="keep one of them")
    return attributes


def _grants(options: argparse.Namespace) -> ParticipantGrants:
    from ..grants import ParticipantGrants

    return ParticipantGrants(
        can_publish=not options.no_publish,
        can_subscribe=not options.no_subscribe,
        can_publish_data=options.publish_data,
        can_publish_sources=tuple(options.source),
        can_update_own_metadata=options.update_own_metadata,
        can_subscribe_metrics=options.subscribe_metrics,
        can_manage_agent_session=options.manage_agent_session,
        hidden=options.hidden,
    )


def _agents(options: argparse.Namespace, default: list[str]) -> list[AgentDispatch]:
    """The agents of --agent, or the default ones."""
    from .._validation import METADATA_LIMIT, text
    from ..grants import AgentDispatch

    names = options.agent or default
    for option in ("agent_metadata", "agent_deployment"):
        if getattr(options, option) is not None and not names:
            raise InvalidArgument("there is no agent that it applies to", field=option, remedy="pass --agent NAME")
    metadata = text("agent_metadata", options.agent_metadata or "", limit=METADATA_LIMIT)
    return [AgentDispatch(name, metadata, options.agent_deployment or "") for name in names]


def _room_config(value: str | None) -> dict[str, Any] | None:
    """The mapping of `--room-config`: the value itself when it begins with a brace, else the file that it names."""
    if value is None:
        return None
    remedy = "pass a JSON object in braces, or the path of a file with one"
    text = value if value.lstrip().startswith("{") else read_file(value, "room_config", remedy)
    config, problem = None, "this is not a JSON object"
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        problem = f"invalid JSON at line {error.lineno}, column {error.colno} ({error.msg})"
    except (ValueError, RecursionError) as error:
        problem = f"the JSON cannot be read ({type(error).__name__})"
    if isinstance(config, dict):
        return config
    raise InvalidArgument(problem, field="room_config", remedy=remedy)


COMMAND = Command("create a join token and print it", _DESCRIPTION, _EPILOG, add, run)
