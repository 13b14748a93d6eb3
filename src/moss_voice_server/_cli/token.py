"""`moss-voice-server token`: mint one join token and print it."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from .._credentials.config import VARIABLES
from ..errors import InvalidArgument
from . import _livekit, _say
from ._arguments import duration, pair, visible

if TYPE_CHECKING:
    import argparse

    from .._server import MossVoiceServerSync
    from ..grants import AgentDispatch, ParticipantGrants
    from ._arguments import Parser

_DESCRIPTION = """\
Mint a token with which one participant joins one room, and print it alone on
standard output. What was chosen at random is said on standard error.

The credentials come from the Moss API, for the voice agent that the environment
names: MOSS_PROJECT_ID, MOSS_PROJECT_KEY, MOSS_VOICE_AGENT_ID and, optionally,
MOSS_PLATFORM_API_URL; each may be <NAME>_FILE, a file that holds the value.
Where none of them is set, LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET
(or its _FILE) are used as they are.
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

exit status: 0 minted, 1 no credentials could be had, 2 wrong usage
"""


def add(commands: argparse._SubParsersAction[Parser]) -> None:
    """The command and its options."""
    parser = commands.add_parser(
        "token",
        help="mint a join token and print it",
        usage="%(prog)s [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.set_defaults(run=run)

    who = parser.add_argument_group("who joins, and where")
    who.add_argument("--identity", metavar="ID", help="unique in the room (default: a new guest-...)")
    who.add_argument("--room", metavar="NAME", help="the room (default: a new one that nobody can guess)")
    who.add_argument("--name", metavar="NAME", help="shown to the others")
    who.add_argument("--metadata", metavar="TEXT", help="any text for the others and the agent")
    who.add_argument(
        "--attribute",
        metavar="KEY=VALUE",
        type=pair,
        action="append",
        default=[],
        help="any text by name; repeat it for more",
    )
    who.add_argument(
        "--ttl",
        metavar="TIME",
        type=duration,
        default=duration("15m"),
        help="how long it can be used to join: 90s, 15m, 2h or seconds; 1m to 24h (default: 15m)",
    )

    what = parser.add_argument_group("what they may do", "Without these: publish, subscribe and send data.")
    what.add_argument("--no-publish", action="store_true", help="send no audio or video, and no data either")
    what.add_argument("--no-subscribe", action="store_true", help="receive nobody's audio or video")
    data = what.add_mutually_exclusive_group()
    data.add_argument(
        "--publish-data", action="store_true", default=None, help="send data messages, even with --no-publish"
    )
    data.add_argument("--no-publish-data", dest="publish_data", action="store_false", help="send no data messages")
    what.add_argument(
        "--source",
        metavar="SOURCE",
        action="append",
        default=[],
        help="publish only this: camera, microphone, screen_share or screen_share_audio; repeat it for more",
    )
    what.add_argument("--hidden", action="store_true", help="be invisible to the others")
    what.add_argument("--update-own-metadata", action="store_true", help="change the own name, metadata and attributes")
    what.add_argument("--subscribe-metrics", action="store_true", help="receive the metrics that participants report")
    what.add_argument("--manage-agent-session", action="store_true", help="control the agent's session")

    agents = parser.add_argument_group(
        "agents",
        "Read only when the room is new. Without --agent, LiveKit sends the workers\n"
        "that registered without a name; naming an agent keeps those out of the room.",
    )
    agents.add_argument(
        "--agent",
        metavar="NAME",
        type=visible,
        action="append",
        default=[],
        help="send for this agent; repeat it for more",
    )
    agents.add_argument("--agent-metadata", metavar="TEXT", help="any text for the job of every --agent")
    agents.add_argument(
        "--agent-deployment", metavar="NAME", help="the deployment of every --agent (default: production)"
    )
    agents.add_argument(
        "--room-config",
        metavar="FILE|JSON",
        help="LiveKit's room configuration in snake_case, as a file or as '{\"max_participants\": 2}'",
    )

    _livekit.add_options(
        parser, "Instead of the Moss API's. What is not given here comes from the LIVEKIT_\nvariables named above."
    )

    output = parser.add_argument_group("output").add_mutually_exclusive_group()
    output.add_argument("--url", action="store_true", help="two lines: the LiveKit server's URL, then the token")
    output.add_argument(
        "--json",
        action="store_true",
        help="an object: server_url, participant_token, room_name, participant_identity, expires_at (UTC)",
    )


def run(options: argparse.Namespace) -> int:
    """Mint and print."""
    from .._token.claims import payload
    from ..grants import ParticipantInfo
    from ._claims import decode

    identity = f"guest-{os.urandom(16).hex()}" if options.identity is None else options.identity
    room = f"room-{os.urandom(16).hex()}" if options.room is None else options.room
    participant = ParticipantInfo(identity, options.name, options.metadata, _attributes(options) or None)
    ttl, grants, agents = options.ttl, _grants(options), _agents(options)
    room_config = _room_config(options.room_config)
    # Whatever is wrong with the arguments is said before anybody is asked for credentials.
    payload("", 0.0, participant, room, None, ttl, grants, agents, room_config)
    with _server(options) as server:
        token = server.create_participant_token(
            participant, room, ttl=ttl, grants=grants, agents=agents, room_config=room_config
        )
        url = server.get_server_url()
    if options.json:
        expires = datetime.fromtimestamp(decode(token)["exp"], timezone.utc)
        answer = {
            "server_url": url,
            "participant_token": token,
            "room_name": room,
            "participant_identity": identity,
            "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        print(json.dumps(answer, indent=2))
        return 0
    if options.identity is None:
        _say.note(f"identity {identity} (random)")
    if options.room is None:
        _say.note(f"room {room} (random)")
    if options.url:
        print(url)
    print(token)
    return 0


def _server(options: argparse.Namespace) -> MossVoiceServerSync:
    """The credentials' server: options first, then the Moss API, then LiveKit's variables."""
    from .._server import MossVoiceServerSync

    moss = any(
        os.environ.get(name) or os.environ.get(f"{name}_FILE")
        for field, name in VARIABLES.items()
        if field != "api_url"
    )
    if moss and not _livekit.is_asked_for(options):
        return MossVoiceServerSync.from_env()
    if not _livekit.is_asked_for(options) and not _livekit.is_in(os.environ):
        raise InvalidArgument(
            "there are no credentials: set MOSS_PROJECT_ID, MOSS_PROJECT_KEY and MOSS_VOICE_AGENT_ID, or LIVEKIT_URL, "
            "LIVEKIT_API_KEY and LIVEKIT_API_SECRET"
        )
    livekit = _livekit.read(options)
    return MossVoiceServerSync.from_livekit(livekit.url, livekit.api_key, livekit.api_secret.reveal())


def _attributes(options: argparse.Namespace) -> dict[str, str]:
    attributes = dict(options.attribute)
    if len(attributes) != len(options.attribute):
        raise InvalidArgument("a key is given twice: keep one of them", field="attributes")
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


def _agents(options: argparse.Namespace) -> list[AgentDispatch]:
    from ..grants import AgentDispatch

    for field, value in (("agent metadata", options.agent_metadata), ("deployment", options.agent_deployment)):
        if value is not None and not options.agent:
            raise InvalidArgument("it is about the agents of --agent: name one", field=field)
    metadata, deployment = options.agent_metadata or "", options.agent_deployment or ""
    return [AgentDispatch(name, metadata, deployment) for name in options.agent]


def _room_config(value: str | None) -> dict[str, Any] | None:
    """The mapping that `--room-config` gives: in place when it begins with a brace, else in the file that it names."""
    if value is None:
        return None
    problem = ""
    config: Any = None
    try:
        if not value.lstrip().startswith("{"):
            with open(value, encoding="utf-8") as file:
                value = file.read()
        config = json.loads(value)
    except json.JSONDecodeError as error:
        problem = f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except (OSError, ValueError, RecursionError) as error:
        problem = f"neither a JSON object in braces nor the path of a file that can be read ({type(error).__name__})"
    if not problem and not isinstance(config, dict):
        problem = "must be a JSON object"
    if problem:
        raise InvalidArgument(problem, field="room_config")
    return dict(config)
