"""FastAPI's annotations: a slip that a developer makes who moves from one framework to another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from fastapi import Depends

from moss_voice_server import MossVoiceServer, ParticipantInfo
from moss_voice_server.endpoint import Admission
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.fastapi import token_router
from tests.support.tokens import API_KEY, API_SECRET, URL

SERVER = MossVoiceServer.from_livekit(URL, API_KEY, API_SECRET)


def of_the_other_frameworks(request, token_request) -> Admission:  # type: ignore[no-untyped-def]
    """What Flask, Django, ASGI and WSGI call; FastAPI would look for both in the query."""
    return Admission(ParticipantInfo("ada"), room=token_request.room_name)


async def half_annotated(*, token_request) -> Admission:  # type: ignore[no-untyped-def]
    """An async one that has only the annotation of its request forgotten."""
    return Admission(ParticipantInfo("ada"), room=token_request.room_name)


@pytest.mark.parametrize(
    ("authorize", "field"),
    [
        (of_the_other_frameworks, "request"),
        (half_annotated, "token_request"),
        (partial(lambda realm, token_request: realm, "realm"), "token_request"),
    ],
    ids=["request and request", "token_request", "partial"],
)
def test_fastapi_wants_annotations(authorize: Callable[..., Any], field: str) -> None:
    """FastAPI would take `request` and `request` without a type from the query, and refuse everybody: said when it is made."""
    with pytest.raises(InvalidArgument, match=f"authorize's parameter {field} has no annotation") as caught:
        token_router(SERVER, authorize=authorize)
    assert "authorize" == caught.value.field


def test_fastapi_takes_other_parameters_without() -> None:
    """Other names may be of the query, as FastAPI has it; what is given, or has a dependency for its default, is none."""
    token_router(SERVER, authorize=lambda tenant: Admission(ParticipantInfo(tenant)))
    token_router(SERVER, authorize=partial(of_the_other_frameworks, request=None, token_request=None))
    token_router(SERVER, authorize=lambda request=Depends(user): Admission(ParticipantInfo(request)))  # noqa: B008  # as FastAPI had it


def user() -> str:
    """Somebody who is signed in."""
    return "ada"
