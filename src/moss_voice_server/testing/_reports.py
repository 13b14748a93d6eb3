"""Session reports: what the fake Moss API stores when a call ends, and the pages in which it lists them."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Mapping
from datetime import date, datetime, timezone
from typing import Any

PAGE_SIZE = 100


class SessionReports:
    """The stored reports, oldest first; safe from any thread."""

    def __init__(self, kept: int | None) -> None:
        self._lock = threading.Lock()
        self._reports: deque[dict[str, Any]] = deque(maxlen=kept)

    def add(self, room_name: str, report: Any, created_at: datetime) -> dict[str, Any]:
        """Store a report and return it as the API lists it."""
        utc = created_at.astimezone(timezone.utc)
        stored = {
            "id": f"report-{secrets.token_hex(8)}",
            "room_name": room_name,
            "created_at": f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z",
            "report": report,
        }
        with self._lock:
            self._reports.append(stored)
        return stored

    def all(self) -> list[dict[str, Any]]:
        """Every report."""
        with self._lock:
            return list(self._reports)

    def page(self, query: Mapping[str, str]) -> list[dict[str, Any]] | None:
        """The reports of the days `start` to `end` (UTC, both included), newest first; `None` for a bad query."""
        try:
            start = date.fromisoformat(query.get("start", "0001-01-01"))
            end = date.fromisoformat(query.get("end", "9999-12-31"))
            limit, number = int(query.get("limit", PAGE_SIZE)), int(query.get("page", 0))
        except ValueError:
            return None
        if not (1 <= limit <= PAGE_SIZE and number >= 0):
            return None
        found = [each for each in self.all() if start.isoformat() <= each["created_at"][:10] <= end.isoformat()]
        found.sort(key=lambda each: str(each["created_at"]), reverse=True)
        return found[number * limit : (number + 1) * limit]
