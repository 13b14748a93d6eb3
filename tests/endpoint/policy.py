"""Policy: one application's rules, the same in every framework: who is admitted, and the routes that it opens.

A test names what `authorize` is to do in the Authorization header: `Bearer ada`. Each route is one token endpoint
with its own options, at `/sync/<route>` with a plain `authorize` and at `/async/<route>` with an async one.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.endpoint import Admission, Denied, TokenRequest, allow_guests
from moss_voice_server.errors import CredentialsUnavailable
from moss_voice_server.grants import AgentDispatch
from moss_voice_server.rate_limit import RateLimiter
from tests.endpoint.policy_names import APP, LEAK, MODES
from tests.support.tokens import API_KEY, API_SECRET, URL

ADA = ParticipantInfo("ada", "Ada")


class Asked(NamedTuple):
    """What a rule may look at; `refuse` raises what the framework raises for a status."""

    token_request: TokenRequest
    refuse: Callable[[int], Any]


class FrameworkError(Exception):
    """What another framework raises: Starlette's have a status and a `detail`."""

    status_code, detail = 429, LEAK


def raising(error: Exception) -> Callable[[Asked], Admission]:
    """A rule that raises something."""

    def rule(asked: Asked) -> Admission:
        raise error

    return rule


def seen(asked: Asked) -> Admission:
    """Returns the request in the metadata, so that a test can see it."""
    token_request = asked.token_request
    fields = [
        token_request.room_name,
        token_request.participant_name,
        token_request.participant_identity,
        token_request.participant_metadata,
        dict(token_request.participant_attributes),
        [[agent.agent_name, agent.metadata, agent.deployment] for agent in token_request.agents],
    ]
    return Admission(
        ParticipantInfo("ada", None, json.dumps(fields)),
        allowed_rooms=lambda room: True,
        allowed_agents=[agent.agent_name for agent in token_request.agents],
        client_may_set=("name", "attributes", "agent_metadata", "agent_deployment"),
    )


RULES: dict[str, Any] = {
    "ada": Admission(ADA),
    "dispatch": Admission(ADA, agents=(AgentDispatch("helper", "job", "beta", {"a": "b"}), "scribe")),
    "seen": seen,
    "agent-name": lambda asked: Admission(ADA, agents=(NAMED.get_agent_name(),)),
    "process": lambda asked: Admission(ParticipantInfo("ada", None, str(os.getpid()))),
    # Refusals.
    "denied-raised": raising(Denied(403, "trial_over")),
    "rejected": Denied(),
    "unusual-429": raising(FrameworkError(LEAK)),
    **{f"framework-{status}": partial(lambda status, asked: asked.refuse(status), status) for status in (400, 401, 403, 404)},
    # Mistakes of the application.
    "fails": raising(RuntimeError(LEAK)),
    "stops": raising(StopIteration(LEAK)),
    "blank-identity": Admission(ParticipantInfo(" ")),
    # As where `agents=(server.get_agent_name(),)` is evaluated before there are credentials.
    "credentials": raising(CredentialsUnavailable(LEAK, retry_after=7)),
}  # fmt: skip


def decide(authorization: str, token_request: TokenRequest, refuse: Callable[[int], Any]) -> Any:
    """What `authorize` does in every framework."""
    scheme, _, name = authorization.partition(" ")
    if scheme != "Bearer" or name not in RULES:
        raise Denied(401)
    rule = RULES[name]
    return rule(Asked(token_request, refuse)) if callable(rule) else rule


def authorizers(header: Callable[[Any], str], refuse: Callable[[int], Any]) -> dict[str, Callable[..., Any]]:
    """A plain and an async `authorize`: how a framework's request shows the header, and how the framework refuses."""

    def plain(request: Any, token_request: TokenRequest) -> Any:
        return decide(header(request), token_request, refuse)

    async def waiting(request: Any, token_request: TokenRequest) -> Any:
        return plain(request, token_request)

    return {"sync": plain, "async": waiting}


# Servers.


def constructed(kind: Any, variable: str) -> Any:
    """A server that was only constructed, for the Moss API whose arguments are in the environment."""
    arguments = json.loads(os.environ[variable])
    return kind(**arguments, refresh=RefreshPolicy(attempts=1))


FIXED = MossVoiceServer.from_livekit(URL, API_KEY, API_SECRET, "helper")
FIXED_SYNC = MossVoiceServerSync.from_livekit(URL, API_KEY, API_SECRET, "helper")


NAMED: Any = constructed(MossVoiceServerSync, "MOSS")
"""The rule `agent-name` needs its agent's name before it has fetched."""


def nowhere(request: Any) -> Any:
    """A lookup that fails."""
    raise KeyError(LEAK)


# Hooks.


async def half_a_minute(identity: str) -> float:
    """An async limiter that lets nothing pass."""
    return 30


def broken(identity: Any) -> float:
    """A limiter, or an audit, that fails."""
    raise RuntimeError(LEAK)


def log_event(event: Any) -> None:
    """An audit that logs the event."""
    logging.getLogger("tests.events").info("%s", json.dumps([*vars(event).values()]))


async def log_event_async(event: Any) -> None:
    """The same, async."""
    log_event(event)


class Route(NamedTuple):
    """A token endpoint and its options."""

    server: Any = FIXED
    options: Mapping[str, Any] = {}
    guests: bool = False


def routes() -> dict[str, Route]:
    """All of them, new for each mode."""
    later = constructed(MossVoiceServerSync, "MOSS")
    return {
        "token": Route(options={"on_token": log_event}),
        "chosen": Route(lambda request: FIXED_SYNC),
        "nowhere": Route(nowhere),
        "cors": Route(options={"allow_origins": [APP, "http://localhost:5173"]}),
        "limited": Route(options={"rate_limiter": RateLimiter("3/hour")}),
        "limited-plain": Route(options={"rate_limiter": lambda key: 30}),
        "limited-async": Route(options={"rate_limiter": half_a_minute}),
        "limited-broken": Route(options={"rate_limiter": broken}),
        "audited-async": Route(options={"on_token": log_event_async}),
        "audited-broken": Route(options={"on_token": broken}),
        "guests": Route(guests=True),
        "limited-guests": Route(guests=True, options={"rate_limiter": RateLimiter("3/hour")}),
        "down": Route(constructed(MossVoiceServer, "MOSS_DOWN")),
        "refused": Route(constructed(MossVoiceServerSync, "MOSS_REFUSES")),
        "invalid": Route(constructed(MossVoiceServer, "MOSS_IS_ODD")),
        "late": Route(constructed(MossVoiceServer, "MOSS")),
        "late-sync": Route(constructed(MossVoiceServerSync, "MOSS")),
        "late-named": Route(NAMED),
        "late-chosen": Route(lambda request: later),
    }


def every_route(authorizers: Mapping[str, Callable[..., Any]]) -> Iterable[tuple[str, Any, dict[str, Any]]]:
    """Path, server and keyword arguments of each endpoint; `authorizers` are the framework's two, by mode."""
    for mode in MODES:
        for name, route in routes().items():
            authorize = allow_guests(name="Guest", agents=("helper",)) if route.guests else authorizers[mode]
            yield f"/{mode}/{name}", route.server, {"authorize": authorize, **route.options}


# The log.


class _Lines(logging.Formatter):
    """One JSON object a line, with all that the record holds."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        extras = {key: value for key, value in vars(record).items() if key.startswith("moss_")}
        return json.dumps({"logger": record.name, "level": record.levelname, "text": text, **extras})


def log_to(path: str) -> None:
    """Writes every record of the process to a file."""
    handler = logging.FileHandler(path)
    handler.setFormatter(_Lines())
    logging.getLogger().addHandler(handler)
    logging.getLogger("moss_voice_server").setLevel(logging.DEBUG)
    logging.getLogger("tests").setLevel(logging.DEBUG)


log_to(os.environ["ENDPOINT_LOG"])
