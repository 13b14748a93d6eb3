"""Which keys a webhook may be signed with while the credentials are rotated, and when they are fetched for it."""

from __future__ import annotations

from moss_voice_server import MossVoiceServerSync
from moss_voice_server.errors import WebhookRejected
from moss_voice_server.testing import FakeLiveKit, FakeMoss, FrozenClock
from tests.support.secret_scan import shown, spilled

SECRETS = {generation: f"-secret-{generation}-".center(40, "x") for generation in (1, 2, 3)}


def livekit(generation: int, clock: FrozenClock) -> FakeLiveKit:
    """A LiveKit with the keys of this generation."""
    return FakeLiveKit(api_key=f"key-{generation}", api_secret=SECRETS[generation], clock=lambda: clock.time)


def code(server: MossVoiceServerSync, sender: FakeLiveKit) -> str:
    """Why a webhook of this sender is refused; empty: it is not."""
    try:
        server.receive_webhook(*sender.webhook("room_started", room="room"))
    except WebhookRejected as error:
        rejected = error
    else:
        return ""
    assert [] == spilled(rejected, SECRETS.values())
    return rejected.code


def test_rotation() -> None:
    """An unknown key starts one refresh in the background; then the new key is valid, and the previous one for an hour."""
    with FrozenClock() as clock, FakeMoss(api_key="key-1", api_secret=SECRETS[1]) as moss:
        server = MossVoiceServerSync.create(**moss.arguments)
        assert ["", "unknown_key"] == [code(server, livekit(number, clock)) for number in (1, 3)]
        moss.wait_for(2)
        server.refresh()  # waits for the one that runs
        fetched = moss.count

        moss.rotate("key-2", SECRETS[2])
        for _ in range(10):
            assert "unknown_key" == code(server, livekit(2, clock))
        assert fetched == moss.count  # the last one was started a moment ago
        clock.advance(6)
        assert "unknown_key" == code(server, livekit(2, clock))
        moss.wait_for(fetched + 1)
        server.refresh()

        assert ["", "", "unknown_key"] == [code(server, livekit(number, clock)) for number in (1, 2, 3)]
        clock.advance(3590)
        assert ["", ""] == [code(server, livekit(number, clock)) for number in (1, 2)]
        clock.advance(20)
        assert ["unknown_key", ""] == [code(server, livekit(number, clock)) for number in (1, 2)]
        assert [] == shown(server, SECRETS.values()) + shown(server.rooms, SECRETS.values())
        server.close()


def test_before_the_first_fetch() -> None:
    """A server that was only constructed refuses, and fetches in the background: LiveKit repeats the webhook."""
    with FrozenClock() as clock, FakeMoss(api_key="key-1", api_secret=SECRETS[1]) as moss:
        server = MossVoiceServerSync(**moss.arguments)
        assert "unknown_key" == code(server, livekit(1, clock))
        moss.wait_for(1)
        server.refresh()
        assert "" == code(server, livekit(1, clock))
