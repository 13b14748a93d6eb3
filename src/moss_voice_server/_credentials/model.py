"""Model: LiveKit credentials, validated and ready to sign."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .._secret import Sealed, Secret
from .._token.signing import Signer
from .._urls import check_url
from .._validation import SURROGATE, plain_secret
from ..errors import InvalidArgument

if TYPE_CHECKING:
    from ..credentials import CredentialsStatus

# What LiveKit's own keys look like, and what any HTTP header or file can carry.
_API_KEY = re.compile(r"[\x21-\x7e]{1,512}")
ARGUMENTS = ("url", "api_key", "api_secret", "agent_name")


class Credentials(Sealed):
    """A voice agent's LiveKit credentials, validated and ready to sign. The API secret itself is not kept.

    The tools use `LiveKitCredentials` instead: they examine values that this class would reject, and need the secret.
    """

    __slots__ = ("agent_name", "signer", "url")

    def __init__(self, url: str, signer: Signer, agent_name: str) -> None:
        self.url = url
        self.signer = signer
        self.agent_name = agent_name

    @property
    def fingerprint(self) -> str:
        """A short hash of the API key, to tell keys apart."""
        return self.signer.fingerprint

    def same_as(self, other: object) -> bool:
        """Whether nothing has changed."""
        return (
            isinstance(other, Credentials)
            and (self.url, self.agent_name) == (other.url, other.agent_name)
            and self.signer.signs_like(other.signer)
        )


def validated(
    url: Secret[Any],
    api_key: Secret[Any],
    api_secret: Secret[Any],
    agent_name: Secret[Any],
    names: tuple[str, str, str, str] = ARGUMENTS,
) -> Credentials:
    """Credentials from four values. All are hidden, because each could be the secret by mistake.

    Raises:
        InvalidArgument: `field` is one of `names`.
    """
    url, api_key, api_secret, agent_name = map(plain_secret, (url, api_key, api_secret, agent_name))
    url_name, key_name, secret_name, agent_name_name = names
    normal = check_url(url_name, url, secure=("wss", "https"), plain=("ws", "http"))
    for name, value in ((key_name, api_key), (secret_name, api_secret), (agent_name_name, agent_name)):
        _check_text(name, value)
    if not _API_KEY.fullmatch(api_key.reveal()):
        raise InvalidArgument(f"{key_name} must be 1 to 512 visible ASCII characters", field=key_name, remedy=_COPY)
    if not api_secret.reveal():
        raise InvalidArgument(f"{secret_name} is empty", field=secret_name, remedy=_COPY)
    return Credentials(normal, Signer(api_key.reveal(), api_secret), agent_name.reveal())


_COPY = "copy it again from LiveKit"


def _check_text(name: str, value: Secret[Any]) -> None:
    if not isinstance(value.reveal(), str):
        raise InvalidArgument(f"{name} must be a str, not {type(value.reveal()).__name__}", field=name)
    if value.reveal().strip() != value.reveal():
        raise InvalidArgument(f"{name} begins or ends with whitespace", field=name, remedy="remove the whitespace")
    if SURROGATE.search(value.reveal()):
        raise InvalidArgument(f"{name} contains a lone surrogate, which UTF-8 cannot encode", field=name, remedy=_COPY)


class StaticCredentials(Sealed):
    """The interface of `CredentialsCache` for credentials that were passed in: always fresh, never refreshed."""

    is_refreshing = False
    source = None

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self.fast_path = (float("inf"), float("inf"), credentials)

    def get(self) -> Credentials:
        """The credentials."""
        return self._credentials

    peek = get

    def recent(self) -> list[Credentials]:
        """The credentials: there are no earlier ones."""
        return [self._credentials]

    def status(self) -> CredentialsStatus:
        """Always fresh, without an age."""
        from ..credentials import CredentialsStatus

        return CredentialsStatus("fresh", None, None, None, self._credentials.fingerprint)

    def refresh(self) -> None:
        """Does nothing: there is no source."""

    async def refresh_async(self) -> None:
        """Does nothing: there is no source."""

    refresh_in_background = recheck = close = refresh
