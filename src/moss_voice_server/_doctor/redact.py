"""Redact: the last gate before a check is shown: secrets and tokens that a text holds all the same are masked."""

from __future__ import annotations

import re

from .._secret import Sealed
from .check import Check

MASK = "********"
_TOKEN = re.compile(r"\beyJ[\w-]+(?:\.[\w-]*){1,2}")
_SHORTEST = 8  # characters; masking anything shorter would eat into words


class Redactor(Sealed):
    """Knows every secret that the doctor has come across."""

    __slots__ = ("_secrets",)

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def learn(self, *secrets: str) -> None:
        """From now on these are masked."""
        self._secrets.update(secret for secret in secrets if len(secret) >= _SHORTEST)

    def clean(self, check: Check) -> Check:
        """The same check without any secret or token."""
        return check._replace(detail=self.text(check.detail), remedy=self.text(check.remedy))

    def text(self, text: str) -> str:
        """The same text without any secret or token."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return _TOKEN.sub(MASK, text)
