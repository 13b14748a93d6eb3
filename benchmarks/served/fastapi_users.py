"""Users in FastAPI: the dependency of both FastAPI applications."""

# No `from __future__ import annotations` here: FastAPI reads the annotations.

from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from .session import USERS

_bearer = HTTPBearer()


async def signed_in(credentials: Annotated[HTTPAuthorizationCredentials, Depends(_bearer)]) -> tuple[str, str]:
    """Identity and name of the session's user."""
    user = USERS.get(credentials.credentials)
    if user is None:
        raise HTTPException(401)
    return user
