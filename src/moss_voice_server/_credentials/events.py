"""News: what an operator is told when the credentials' state changes: at most one log record a change."""

from __future__ import annotations

from typing import NamedTuple

from ..credentials import State
from ..errors import CredentialsRejected
from .response import Credentials
from .state import Record

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40  # as in the logging module, which is not imported for four numbers


class Told(NamedTuple):
    """What the operator knows."""

    state: State = "empty"
    credentials: Credentials | None = None
    failing: bool = False
    refused: bool = False


class News(NamedTuple):
    """One log record: `event` is a stable machine name."""

    level: int
    event: str
    text: str


def told(record: Record, state: State) -> Told:
    """What there is to know."""
    refused = record.failure is not None and record.failure.kind is CredentialsRejected
    return Told(state, record.credentials, record.failure is not None, refused)


def news(old: Told, new: Told, record: Record) -> News | None:
    """The news between two moments, the gravest only."""
    why = record.failure.text if record.failure else ""
    serving = new.state in ("fresh", "stale")
    if new.state == "rejected" and old.state != "rejected":
        return News(ERROR, "rejected", f"minting has stopped, the Moss API has refused repeatedly: {why}")
    if new.state == "expired" and old.state != "expired":
        return News(
            ERROR, "expired", f"minting has stopped, the LiveKit credentials are too old: {why or 'renewal is due'}"
        )
    if new.refused and not old.refused:
        rest = "minting goes on with the credentials in hand" if serving else "there is nothing to mint with"
        return News(ERROR, "refused", f"{why}; {rest}")
    if new.failing and not old.failing:
        rest = "minting goes on with the credentials in hand" if serving else "there is nothing to mint with"
        return News(WARNING, "outage", f"{why}; {rest}")
    if new.credentials is None:
        return None
    key = new.credentials.signer.fingerprint
    if old.credentials is None:
        return News(INFO, "fetched", f"LiveKit credentials fetched, key {key}")
    if new.credentials is not old.credentials and not new.credentials.same_as(old.credentials):
        return News(
            INFO, "rotated", f"LiveKit credentials exchanged, key {old.credentials.signer.fingerprint} to {key}"
        )
    if serving and not new.failing and (old.failing or old.state in ("expired", "rejected")):
        return News(INFO, "recovered", f"the Moss API answers again, LiveKit credentials confirmed, key {key}")
    if old.state != new.state:
        return News(DEBUG, new.state, f"LiveKit credentials are {new.state}, key {key}")
    return None
