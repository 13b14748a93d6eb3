"""Access: the clocks and the credentials of a server object, as operations use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _clock
from .._credentials.runtime import Runtime
from .._http.flow import Timing
from .._secret import Secret
from .._token.api_claims import api_payload
from ..grants import ApiGrants
from .call import Access, Signed

if TYPE_CHECKING:
    from .._server import MossVoiceServer, MossVoiceServerSync

_TOKEN_TTL = 60  # seconds


def access(server: MossVoiceServer | MossVoiceServerSync) -> Access:
    now, cache = server._clock.time, server._cache

    def credentials() -> Signed:
        current = server._usable(now())

        def token(grants: ApiGrants) -> Secret[str]:
            return Secret(current.signer.sign(api_payload(current.signer.head, now(), grants, _TOKEN_TTL)))

        return Signed(current.url, current, token)

    # The clock for deadlines is real: a test that freezes the server's clock must not wait forever.
    timing = Timing(_clock.elapsed, now, Runtime(_clock.current).uniform)
    return Access(timing, credentials, cache.recheck, lambda: cache.is_refreshing)
