"""Webhooks: the events that LiveKit sends to a backend; a server's `receive_webhook` verifies and reads them."""

from __future__ import annotations

from ._livekit_api.models import Participant, Room, WebhookEvent

__all__ = ["Participant", "Room", "WebhookEvent"]
