"""Given: LiveKit credentials that were handed over and need no keeping; it stands in for a keeper."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from .. import _clock as _clocks
from .._secret import Sealed

if TYPE_CHECKING:
    from ..credentials import CredentialsStatus
    from .response import Credentials


class Given(Sealed):
    """Has what a server asks of its keeper, without any of the keeper's machinery: not even its modules are loaded."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self.ready = (inf, inf, credentials)
        self.world = _clocks.current

    def lease(self) -> Credentials:
        """The credentials."""
        return self.known()

    def known(self) -> Credentials:
        """The credentials."""
        return self._credentials

    def status(self) -> CredentialsStatus:
        """Always fresh."""
        from .state import BEGINNING, by_hand, status

        return status(by_hand(self.known()), BEGINNING)

    def renew(self) -> None:
        """Nothing to fetch."""

    async def renew_async(self) -> None:
        """Nothing to fetch."""

    def start(self) -> None:
        """Nothing to fetch."""

    def close(self) -> None:
        """Nothing to stop."""
