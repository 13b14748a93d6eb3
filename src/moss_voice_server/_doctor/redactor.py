"""Mask secrets and tokens in a check before it is shown."""

from __future__ import annotations

import re

from .._secret import Sealed
from .check import Check

MASK = "********"
_TOKEN = re.compile(r"\beyJ[\w-]+(?:\.[\w-]*){1,2}")
_SHORTEST = 8  # characters; a shorter secret can be part of a word


class Redactor(Sealed):
    """Knows every secret that the doctor has come across."""

    __slots__ = ("_secrets",)

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def learn(self, *secrets: str) -> None:
        """Mask these from now on."""
        self._secrets.update(secret for secret in secrets if len(secret) >= _SHORTEST)

    def clean(self, check: Check) -> Check:
        """The same check without any secret or token."""
        return check._replace(detail=self.text(check.detail), remedy=self.text(check.remedy))

    def text(self, text: str) -> str:
        """The same text without any secret or token."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return _TOKEN.sub(MASK, text)
