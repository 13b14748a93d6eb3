"""Transcripts: Moss's session reports, one for each call; a server's `session_reports` reads them."""

from __future__ import annotations

from ._session_reports.models import Message, SessionReport

__all__ = ["Message", "SessionReport"]
