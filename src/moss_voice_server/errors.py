"""Errors: everything this package raises on purpose, drawn as one tree.

    MossVoiceError                      code
    ├── CredentialsError                retry_after    (also a RuntimeError)
    │   ├── CredentialsUnavailable      the Moss API could not be reached or had no answer
    │   ├── CredentialsRejected           it refused the project id, the project key or the voice agent id
    │   ├── CredentialsInvalid          it answered, but the answer cannot be used
    │   └── CredentialsNotLoaded                  the server object was used before its credentials were fetched
    └── InvalidArgument                 field          (also a ValueError)

    WeakSecretWarning                   a UserWarning: an API secret shorter than 32 bytes

What is wrong with the credentials is a `RuntimeError`, what is wrong with an argument is a `ValueError`. No error holds a
secret, a header value or an answer's body: neither in its text nor in its attributes, its context or its frames' variables.
"""

from __future__ import annotations

from typing import ClassVar


class MossVoiceError(Exception):
    """Root of the tree: never raised itself."""

    code: ClassVar[str] = "error"
    """A stable machine name of the error's kind; it never changes between releases."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        # A note (PEP 678) stands below the text in tracebacks, from Python 3.11 on, and is no part of the text itself.
        self.__notes__ = [f"cause and remedy: {self.help_link}"]

    @property
    def help_link(self) -> str:
        """Where the documentation tells this error's cause and remedy: a page of the sources, and the section in it."""
        return f"docs/reference/errors.md#{self.code}"


class CredentialsError(MossVoiceError, RuntimeError):
    """There are no LiveKit credentials to work with. Never raised itself: catch it to catch all four kinds."""

    code = "credentials_error"

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which another attempt is worth making, or `None` where waiting does not help."""


class CredentialsUnavailable(CredentialsError):
    """The Moss API could not be reached in time, or answered that it cannot answer now."""

    code = "credentials_unavailable"


class CredentialsRejected(CredentialsError):
    """The Moss API refused: 401 or 403 (project id and key), 404 or 410 (voice agent id)."""

    code = "credentials_rejected"


class CredentialsInvalid(CredentialsError):
    """The Moss API answered with something that is not a voice agent's credentials; the text names the field."""

    code = "credentials_invalid"


class CredentialsNotLoaded(CredentialsError):
    """The server object was constructed directly and used before `create`, `from_env` or `refresh`."""

    code = "credentials_not_loaded"


class InvalidArgument(MossVoiceError, ValueError):
    """An argument that LiveKit or the Moss API would reject or misread; refused before anything is signed or sent."""

    code = "invalid_argument"

    def __init__(self, message: str = "", *, field: str = "") -> None:
        super().__init__(message)
        self.field = field
        """The argument to correct, as the caller wrote it: `identity`, `room_config.agents[0].deployment`. Those of an
        `AgentDispatch` that a participant has too are called `agent metadata` and `agent attributes`."""


class WeakSecretWarning(UserWarning):
    """The API secret has fewer than 32 bytes, less than HS256's own strength.

    A warning and never a refusal: a LiveKit server accepts such a secret, and `livekit-server --dev` has one of six bytes.
    Source: RFC 7518, section 3.2.
    """
