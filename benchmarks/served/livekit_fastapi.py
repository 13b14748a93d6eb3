"""A hand-written FastAPI route, with `livekit-api`."""

# No `from __future__ import annotations` here: FastAPI reads the annotations.

from typing import Annotated, Any

from fastapi import Depends, FastAPI
from pydantic import BaseModel

from .by_hand import answer
from .fastapi_users import signed_in


class TokenRequest(BaseModel):
    """LiveKit's standard request."""

    room_name: str | None = None
    participant_name: str | None = None
    participant_identity: str | None = None
    participant_metadata: str | None = None
    participant_attributes: dict[str, str] | None = None
    room_config: dict[str, Any] | None = None


app = FastAPI()


@app.post("/voice/token", status_code=201)
async def token(token_request: TokenRequest, user: Annotated[tuple[str, str], Depends(signed_in)]) -> dict[str, str]:
    """A token for a new room."""
    return answer(*user)
