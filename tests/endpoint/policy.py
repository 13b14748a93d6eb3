"""Policy: one application's rules, the same in every framework: who is admitted, and the routes that it opens.

A test names what `authorize` is to do in the Authorization header: `Bearer ada`. Each route is one token endpoint with
options of its own, at `/sync/<route>` with a plain `authorize` and at `/async/<route>` with an async one.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, NamedTuple

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.endpoint import Admission, Denied, TokenRequest, allow_guests
from moss_voice_server.errors import CredentialsUnavailable
from moss_voice_server.grants import AgentDispatch, ParticipantGrants
from moss_voice_server.identity import session_identity
from moss_voice_server.rate_limit import RateLimiter
from tests.endpoint.policy_names import APP, LEAK, MODES
from tests.support.tokens import API_KEY, API_SECRET, URL

WHO: ContextVar[str] = ContextVar("who", default="nobody")
"""Set outside of every framework, from the header X-Who; what a tracing library would do."""

ADA = ParticipantInfo("ada", "Ada")
KEY = b"a key of at least sixteen bytes"


class Asked(NamedTuple):
    """What a rule may look at, and the framework's own way to refuse."""

    token_request: TokenRequest
    refuse: Callable[[int], Any]
    """Raises what the framework raises for a status."""


async def anywhere(room: str) -> bool:
    """Async by mistake: its coroutine is true."""
    return True


def refusal(asked: Asked) -> Admission:
    """A refusal that is raised."""
    raise Denied(403, "trial_over")


def failure(asked: Asked) -> Admission:
    """The app's own trouble, with something in it that is nobody's business."""
    raise RuntimeError(LEAK)


class Elsewhere(Exception):
    """What clients of other services raise: urllib's and Google's have `code`, OpenAI's and Azure's `status_code`."""

    def __init__(self, code: Any) -> None:
        super().__init__(LEAK)
        self.code = self.status_code = code


class Unusual(Elsewhere):
    """What frameworks raise: Starlette's has `detail` as well, Werkzeug's `get_response`; with a status of the app's own."""

    detail = LEAK

    def get_response(self) -> str:
        """As Werkzeug's."""
        return LEAK


def raising(error: Exception) -> Callable[[Asked], Admission]:
    """A rule that raises something."""

    def rule(asked: Asked) -> Admission:
        raise error

    return rule


def unfinished(asked: Asked) -> Admission:
    """What a generator would end with."""
    raise StopIteration(LEAK)


def too_early(asked: Asked) -> Admission:
    """As where `dispatch=(server.get_agent_name(),)` is said before there are credentials."""
    raise CredentialsUnavailable(LEAK, retry_after=7)


def seen(asked: Asked) -> Admission:
    """Says back what it was told, so that a test can see it."""
    token_request = asked.token_request
    told = [
        token_request.room_name,
        token_request.participant_name,
        token_request.participant_identity,
        token_request.participant_metadata,
        dict(token_request.participant_attributes),
        [[agent.agent_name, agent.metadata, agent.deployment] for agent in token_request.agents],
    ]
    return Admission(
        ParticipantInfo("ada", None, json.dumps(told)),
        allowed_rooms=lambda room: True,
        allowed_agents=[agent.agent_name for agent in token_request.agents],
        client_may_set=("name", "attributes", "agent_metadata", "agent_deployment"),
    )


RULES: dict[str, Any] = {
    "ada": Admission(ADA),
    "automatic": Admission(ADA, agents=()),
    "room": Admission(ADA, room="lobby"),
    "pattern": Admission(ADA, allowed_rooms=re.compile("team-[a-z]+")),
    "function": Admission(ADA, allowed_rooms=lambda room: room.endswith("!")),
    "async-function": Admission(ADA, allowed_rooms=anywhere),  # type: ignore[arg-type]  # the mistake
    "sets": Admission(
        ParticipantInfo("ada", "Ada", "m", {"plan": "pro"}), client_may_set=("name", "metadata", "attributes")
    ),
    "agents": Admission(ADA, agents=("helper",), allowed_agents=("helper", "scribe")),
    "dispatch": Admission(ADA, agents=(AgentDispatch("helper", "job", "beta", {"a": "b"}), "scribe")),
    "short": Admission(ADA, ttl=timedelta(minutes=2), grants=ParticipantGrants(can_publish=False, hidden=True)),
    "session": lambda asked: Admission(ParticipantInfo(session_identity("ada", KEY)), rate_limit_key="ada"),
    "seen": seen,
    "context": lambda asked: Admission(ParticipantInfo("ada", None, WHO.get())),
    "agent-name": lambda asked: Admission(ADA, agents=(NAMED.get_agent_name(),)),
    "process": lambda asked: Admission(ParticipantInfo("ada", None, str(os.getpid()))),
    # refusals
    "denied-raised": refusal,
    "denied-returned": Denied(403, "trial_over"),
    "rejected": Denied(),
    "unauthenticated": Denied(401),
    "unusual-404": raising(Unusual(404)),
    "unusual-429": raising(Unusual(429)),
    "framework-401": lambda asked: asked.refuse(401),
    "framework-403": lambda asked: asked.refuse(403),
    "framework-400": lambda asked: asked.refuse(400),
    "framework-404": lambda asked: asked.refuse(404),
    # mistakes of the app
    "fails": failure,
    "stops": unfinished,
    "elsewhere-404": raising(Elsewhere(404)),
    "unusual-500": raising(Unusual(500)),
    "none": None,
    "true": True,
    "blank-identity": Admission(ParticipantInfo(" ")),
    "credentials": too_early,
}


def decide(authorization: str, token_request: TokenRequest, refuse: Callable[[int], Any]) -> Any:
    """What `authorize` does in every framework."""
    scheme, _, name = authorization.partition(" ")
    if scheme != "Bearer" or name not in RULES:
        raise Denied(401)
    rule = RULES[name]
    is_rule = callable(rule) and not isinstance(rule, type)
    return rule(Asked(token_request, refuse)) if is_rule else rule


# Servers.


def constructed(face: Any, variable: str) -> Any:
    """A server that was only constructed, for the Moss API whose arguments are in the environment."""
    arguments = json.loads(os.environ[variable])
    return face(**arguments, refresh=RefreshPolicy(attempts=1))


FIXED = MossVoiceServer.from_livekit(URL, API_KEY, API_SECRET, "helper")
FIXED_SYNC = MossVoiceServerSync.from_livekit(URL, API_KEY, API_SECRET, "helper")


NAMED: Any = constructed(MossVoiceServerSync, "MOSS")
"""Its agent's name is asked for by the rule of that name, before anybody has fetched it."""


def chosen(request: Any) -> Any:
    """A server that is looked up for each request."""
    return FIXED_SYNC


def nowhere(request: Any) -> Any:
    """A look-up that fails."""
    raise KeyError(LEAK)


def always_this(server: Any) -> Callable[[Any], Any]:
    """A look-up that finds one server, which was only constructed."""
    return lambda request: server


# Hooks.


def three(identity: str) -> float:
    """Says to wait a little, to all but Ada."""
    return 0 if identity == "ada" else 2.5


async def always(identity: str) -> float:
    """Says to wait half a minute, async."""
    return 30


def broken(identity: Any) -> float:
    """A limiter, or an audit, that has trouble of its own."""
    raise RuntimeError(LEAK)


def told(event: Any) -> None:
    """An audit that writes the event down."""
    logging.getLogger("tests.events").info("%s", json.dumps([*vars(event).values()]))


async def told_async(event: Any) -> None:
    """The same, async."""
    told(event)


class Route(NamedTuple):
    """A token endpoint and its options."""

    server: Any = FIXED
    options: Mapping[str, Any] = {}
    guests: bool = False


def routes() -> dict[str, Route]:
    """All of them, made anew for each mode."""
    return {
        "token": Route(),
        "sync-class": Route(FIXED_SYNC),
        "chosen": Route(chosen),
        "nowhere": Route(nowhere),
        "cors": Route(options={"allow_origins": [APP, "http://localhost:5173"]}),
        "limited": Route(options={"rate_limiter": RateLimiter("3/hour")}),
        "limited-sessions": Route(options={"rate_limiter": RateLimiter("3/hour")}),
        "limited-guesses": Route(options={"rate_limiter": RateLimiter("3/hour")}),
        "limited-plain": Route(options={"rate_limiter": three}),
        "limited-async": Route(options={"rate_limiter": always}),
        "limited-broken": Route(options={"rate_limiter": broken}),
        "audited": Route(options={"on_token": told}),
        "audited-async": Route(options={"on_token": told_async}),
        "audited-broken": Route(options={"on_token": broken}),
        "camel": Route(options={"response_keys": "camel"}),
        "both": Route(options={"response_keys": "both"}),
        "guests": Route(guests=True),
        "limited-guests": Route(guests=True, options={"rate_limiter": RateLimiter("3/hour")}),
        "down": Route(constructed(MossVoiceServer, "MOSS_DOWN")),
        "refused": Route(constructed(MossVoiceServerSync, "MOSS_REFUSES")),
        "invalid": Route(constructed(MossVoiceServer, "MOSS_IS_ODD")),
        "late": Route(constructed(MossVoiceServer, "MOSS")),
        "late-sync": Route(constructed(MossVoiceServerSync, "MOSS")),
        "late-named": Route(NAMED),
        "late-chosen": Route(always_this(constructed(MossVoiceServerSync, "MOSS"))),
    }


def every_route(authorizers: Mapping[str, Callable[..., Any]]) -> Iterable[tuple[str, Any, dict[str, Any]]]:
    """Path, server and keyword arguments of each endpoint; `authorizers` are the framework's two, by mode."""
    for mode in MODES:
        for name, route in routes().items():
            authorize = allow_guests(name="Guest", agents=("helper",)) if route.guests else authorizers[mode]
            yield f"/{mode}/{name}", route.server, {"authorize": authorize, **route.options}


# What surrounds the framework.


def asgi(app: Any) -> Any:
    """Sets the context variable, as a tracing library would."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        WHO.set(dict(scope.get("headers", ())).get(b"x-who", b"nobody").decode())
        await app(scope, receive, send)

    return wrapped


def wsgi(app: Any) -> Any:
    """The same."""

    def wrapped(environ: Any, start_response: Any) -> Any:
        WHO.set(environ.get("HTTP_X_WHO", "nobody"))
        return app(environ, start_response)

    return wrapped


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
