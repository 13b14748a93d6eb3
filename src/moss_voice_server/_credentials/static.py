"""Static credentials: the cache's interface for credentials that were passed in and are never refreshed."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from .._secret import Sealed

if TYPE_CHECKING:
    from ..credentials import CredentialsStatus
    from .model import Credentials


class StaticCredentials(Sealed):
    """The interface of `CredentialsCache` without its machinery, whose modules are not even imported."""

    is_refreshing = False
    source = None

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self.fast_path = (inf, inf, credentials)

    def get(self) -> Credentials:
        """The credentials; they never expire."""
        return self._credentials

    def peek(self) -> Credentials:
        """The same as `get`."""
        return self._credentials

    def recent(self) -> list[Credentials]:
        """The credentials: there are no earlier ones."""
        return [self._credentials]

    def status(self) -> CredentialsStatus:
        """Always fresh, without an age."""
        from .state import NEVER, static, status

        return status(static(self._credentials), NEVER)

    def refresh(self) -> None:
        """Does nothing: there is no source."""

    async def refresh_async(self) -> None:
        """Does nothing: there is no source."""

    def refresh_in_background(self) -> None:
        """Does nothing: there is no source."""

    def recheck(self) -> None:
        """Does nothing: there is no source."""

    def close(self) -> None:
        """Does nothing: nothing runs."""
