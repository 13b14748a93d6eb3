"""Find out why the agent does not join: check each link from the environment to the agent in the room.

for check in examine(Options(os.environ)):
    print(check.name, check.status, check.detail, check.remedy)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from .._livekit_credentials import LiveKitCredentials
from . import clock_offset, connectivity, credentials, dispatch, endpoint, join, livekit_server, moss_api
from .check import Check, Status, Verdict, run
from .found import Found
from .options import Options

__all__ = ["Check", "LiveKitCredentials", "Options", "Status", "examine", "names"]

_LINKS: Mapping[str, Callable[[Found], Verdict]] = {
    "environment": credentials.environment,
    **connectivity.judges("moss"),
    "moss.response": moss_api.judge,
    "credentials": credentials.key_pair,
    "livekit.url": livekit_server.url,
    **connectivity.judges("livekit"),
    "livekit.server": livekit_server.answers,
    "token": livekit_server.token,
    "token.v1": livekit_server.token_v1,
    "clock": clock_offset.clock,
    "join": join.judge,
    "dispatch.named": lambda found: dispatch.judge(found)[0],
    "dispatch.unnamed": lambda found: dispatch.judge(found)[1],
}


def names(options: Options) -> tuple[str, ...]:
    return (*_LINKS, *endpoint.JUDGES) if options.endpoint else tuple(_LINKS)


def examine(options: Options) -> Iterator[Check]:
    """Makes every check and yields each as soon as it is done. No check contains a secret."""
    found = Found(options)
    yield from run(_LINKS, found, "not reached: see above")
    if options.endpoint:
        endpoint.prepare(found)
        yield from run(endpoint.JUDGES, found, "the endpoint issued no token")
