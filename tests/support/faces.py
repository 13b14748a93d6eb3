"""The two classes, asked alike: plain functions over the async one too, so that each fault is shown to both."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server._credentials.cache import Keeper, World
from moss_voice_server._credentials.config import settings
from moss_voice_server._secret import Secret
from moss_voice_server.credentials import RefreshPolicy

Server = MossVoiceServer | MossVoiceServerSync


class Face(NamedTuple):
    """One of the two classes."""

    kind: type[MossVoiceServer] | type[MossVoiceServerSync]

    def make(self, arguments: Mapping[str, Any], world: World | None = None, **keywords: Any) -> Server:
        """A server that has fetched nothing yet; with a world of its own if one is given."""
        server = self.kind(**arguments, **keywords)
        if world is not None:
            key = Secret(arguments["project_key"])
            asked = settings(arguments["project_id"], key, arguments["voice_agent_id"], arguments["api_url"])
            policy = keywords.get("refresh") or RefreshPolicy()
            drive = self.kind._drive
            transport = keywords.get("transport")
            keeper = Keeper(self.kind.__name__, asked, policy, lambda exchange: drive(exchange, transport), world=world)
            server._keep(keeper)
        return server

    def create(self, arguments: Mapping[str, Any], **keywords: Any) -> Server:
        """The class's own `create`."""
        if issubclass(self.kind, MossVoiceServerSync):
            return self.kind.create(**arguments, **keywords)
        return asyncio.run(self.kind.create(**arguments, **keywords))

    @staticmethod
    def refresh(server: Server) -> None:
        """The server's own `refresh`."""
        if isinstance(server, MossVoiceServerSync):
            server.refresh()
        else:
            asyncio.run(server.refresh())


SYNC, ASYNC = Face(MossVoiceServerSync), Face(MossVoiceServer)


def caught(call: Callable[[], object]) -> Exception:
    """The exception that the call raises, kept with its traceback."""
    try:
        call()
    except Exception as error:  # noqa: BLE001  # whichever it is: that is what the caller looks at
        return error
    raise AssertionError("nothing was raised")


def everything(error: BaseException) -> str:
    """All that an error can show: its texts, attributes, causes and the variables of every frame of ours and below."""
    shown = [str(error), repr(error), repr(error.args), repr(vars(error))]
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        todo += [each.__cause__, each.__context__]
        step = each.__traceback__
        while step is not None:
            if "/tests/" not in step.tb_frame.f_code.co_filename:
                shown += [f"{name} = {value!r}" for name, value in step.tb_frame.f_locals.items()]
            step = step.tb_next
    return "\n".join([*shown, *traceback.format_exception(error)])
