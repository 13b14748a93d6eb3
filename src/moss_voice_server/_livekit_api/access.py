"""Access: the credentials and the clocks of a server object, as operations use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _clock
from .._credentials.runtime import Runtime
from .._http.flow import Timing
from .._secret import Sealed, Secret
from .._token.api_claims import api_payload
from ..grants import ApiGrants
from .call import Signed

if TYPE_CHECKING:
    from .._credentials.model import Credentials
    from .._server import MossVoiceServer, MossVoiceServerSync

_TOKEN_TTL = 60  # seconds


class ServerAccess(Sealed):
    """Implements `call.Access`."""

    def __init__(self, server: MossVoiceServer | MossVoiceServerSync) -> None:
        self._server = server
        # The clock for deadlines is real: a test that freezes the server's clock must not wait forever.
        self.timing = Timing(_clock.elapsed, server._clock.time, Runtime(_clock.current).uniform)

    def credentials(self) -> Signed:
        """The credentials of this moment; a CredentialsError if there are none."""
        current: Credentials = self._server._usable(self._server._clock.time())
        now, signer = self._server._clock.time, current.signer

        def token(grants: ApiGrants) -> Secret[str]:
            return Secret(signer.sign(api_payload(signer.head, now(), grants, _TOKEN_TTL)))

        return Signed(current.url, current, token)

    def reload(self) -> None:
        """Starts a refresh of the credentials in the background, unless one was started a moment ago."""
        self._server._cache.recheck()

    def is_reloading(self) -> bool:
        """Whether a refresh is in progress."""
        return self._server._cache.is_refreshing
