"""Errors: everything that this package raises on purpose, as one tree.

    MossVoiceError                      code, remedy
    ├── CredentialsError                retry_after    (also a RuntimeError)
    │   ├── CredentialsUnavailable      the Moss API could not be reached or returned an error
    │   ├── CredentialsRejected         the Moss API rejected the project ID, the project key or the voice agent ID
    │   ├── CredentialsInvalid          the Moss API's response cannot be used
    │   └── CredentialsNotLoaded        the server object was used before its first fetch
    ├── RoomError                       (also a RuntimeError)
    │   ├── LiveKitUnavailable          retry_after; LiveKit could not be reached or returned an error
    │   ├── LiveKitRejected             LiveKit rejected the API token or the request
    │   ├── RoomNotFound                there is no such room or participant
    │   └── AgentNotDispatched          the agent did not join in time
    ├── WebhookRejected                 code says why  (also a ValueError)
    └── InvalidArgument                 field          (also a ValueError)

    WeakSecretWarning                   a UserWarning: an API secret shorter than 32 bytes

Credential and room errors are `RuntimeError`; argument errors are `ValueError`. No error contains a secret, a header value or
a response body: not in its text, its attributes, its context or the variables of its frames.
"""

from __future__ import annotations


class MossVoiceError(Exception):
    """Base class of all errors of this package.

    Args:
        message: what went wrong, without a full stop.
        remedy: what to do about it, as an imperative clause such as "set MOSS_PROJECT_ID"; empty where nothing helps.

    The text of the error is `message: remedy`.
    """

    code: str = "error"
    """Stable name of the kind of error, for programs; it never changes between releases."""

    def __init__(self, message: str = "", *, remedy: str = "") -> None:
        super().__init__(f"{message}: {remedy}" if remedy else message)
        self.message = message
        """What went wrong, without the remedy."""
        self.remedy = remedy
        """What to do about it; empty where nothing helps."""


class CredentialsError(MossVoiceError, RuntimeError):
    """No usable LiveKit credentials. Base class of the four errors below; never raised itself."""

    code = "credentials_error"

    def __init__(self, message: str = "", *, remedy: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after = retry_after
        """Seconds after which a retry makes sense, or `None` if retrying does not help."""


class CredentialsUnavailable(CredentialsError):
    """The Moss API could not be reached in time, or returned an error that should pass."""

    code = "credentials_unavailable"


class CredentialsRejected(CredentialsError):
    """The Moss API rejected the request: 401 or 403 (project ID and key), 404 or 410 (voice agent ID)."""

    code = "credentials_rejected"


class CredentialsInvalid(CredentialsError):
    """The Moss API's response does not contain a voice agent's credentials; the text names the field."""

    code = "credentials_invalid"


class CredentialsNotLoaded(CredentialsError):
    """The server object was constructed directly and used before `create`, `from_env` or `refresh`."""

    code = "credentials_not_loaded"


class RoomError(MossVoiceError, RuntimeError):
    """A call to LiveKit's server API failed. Base class of the four errors below; never raised itself."""

    code = "room_error"


class LiveKitUnavailable(RoomError):
    """LiveKit could not be reached in time, or returned an error that should pass."""

    code = "livekit_unavailable"

    def __init__(self, message: str = "", *, remedy: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after = retry_after
        """Seconds after which a retry makes sense, or `None` if unknown."""


class LiveKitRejected(RoomError):
    """LiveKit rejected the API token or the request."""

    code = "livekit_rejected"


class RoomNotFound(RoomError):
    """The room, or the participant in it, does not exist."""

    code = "room_not_found"


class AgentNotDispatched(RoomError):
    """The agent did not join the room in time; the text says what LiveKit reports about its dispatch."""

    code = "agent_not_dispatched"


class WebhookRejected(MossVoiceError, ValueError):
    """A webhook request that is not verified: LiveKit did not sign it, it was altered, or it is too old.

    Args:
        message: what is wrong.
        code: `missing_authorization`, `unknown_key`, `bad_signature`, `expired`, `body_mismatch` or `malformed`.
        remedy: what to do about it.
    """

    code = "malformed"

    def __init__(self, message: str = "", *, code: str = "malformed", remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.code = code


class InvalidArgument(MossVoiceError, ValueError):
    """An argument that LiveKit or the Moss API would reject or misread; nothing has been signed or sent."""

    code = "invalid_argument"

    def __init__(self, message: str = "", *, field: str = "", remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.field = field
        """The argument to correct, as the caller wrote it: `identity`, `room_config.agents[0].deployment`."""


class WeakSecretWarning(UserWarning):
    """The API secret has fewer than 32 bytes, the minimum for HS256.

    It is only a warning: a LiveKit server accepts such a secret, and `livekit-server --dev` uses one of six bytes.
    Source: RFC 7518, section 3.2.
    """
