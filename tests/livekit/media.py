"""A participant with media, by LiveKit's own client for Python: events in order, a tone played, a tone heard."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from livekit import rtc

PATIENCE = 20.0  # seconds within which an event must have come; it usually takes some milliseconds
RATE = 48_000
_BLOCK = RATE // 10  # samples in the piece of sound that is listened to at a time: 0.1 s


class Guest:
    """A participant in a room, and the events since: `(event's name, its arguments)` in order."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.heard: list[tuple[str, tuple[Any, ...]]] = []
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, *events: str) -> None:
        """Note these events of the room from now on."""
        for event in events:
            self.room.on(event, self._noting(event))  # type: ignore[arg-type]

    def _noting(self, event: str) -> Any:
        def note(*values: Any) -> None:
            self.heard.append((event, values))
            task = asyncio.ensure_future(self._tell())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return note

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def next(self, event: str, nth: int = 1) -> tuple[Any, ...]:
        """The arguments of the first (or `nth`) `event` that was noted; waits for it."""

        def noted() -> list[tuple[Any, ...]]:
            return [values for name, values in self.heard if name == event]

        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: len(noted()) >= nth), PATIENCE)
        return noted()[nth - 1]


@asynccontextmanager
async def guest(url: str, token: str, *events: str) -> AsyncIterator[Guest]:
    """Join with media, noting `events`; leave at the end of the context."""
    one = Guest()
    one.listen(*events)
    await asyncio.wait_for(one.room.connect(url, token), PATIENCE)
    try:
        yield one
    finally:
        await asyncio.wait_for(one.room.disconnect(), PATIENCE)


@asynccontextmanager
async def playing(
    room: rtc.Room, frequency: float, source: rtc.TrackSource.ValueType = rtc.TrackSource.SOURCE_MICROPHONE
) -> AsyncIterator[rtc.LocalTrackPublication]:
    """Publish a tone of `frequency` Hz for as long as the context lasts."""
    sound = rtc.AudioSource(RATE, 1)
    track = rtc.LocalAudioTrack.create_audio_track("tone", sound)
    publication = await asyncio.wait_for(
        room.local_participant.publish_track(track, rtc.TrackPublishOptions(source=source)), PATIENCE
    )
    player = asyncio.ensure_future(_play(sound, frequency))
    try:
        yield publication
    finally:
        player.cancel()
        with suppress(asyncio.CancelledError):
            await player
        await sound.aclose()


async def _play(sound: rtc.AudioSource, frequency: float) -> None:
    period = 2 * math.pi * frequency / RATE
    samples = array("h", (round(16_000 * math.sin(period * n)) for n in range(RATE)))  # 1 s: whole periods
    step = RATE // 100
    while True:
        for start in range(0, RATE, step):
            await sound.capture_frame(rtc.AudioFrame(samples[start : start + step].tobytes(), RATE, 1, step))


async def hears(track: rtc.RemoteAudioTrack, frequency: float) -> bool:
    """Listen until a tone of `frequency` Hz makes up most of a loud enough sound; give up with `TimeoutError`."""
    return await asyncio.wait_for(_hears(track, frequency), PATIENCE)


async def _hears(track: rtc.RemoteAudioTrack, frequency: float) -> bool:
    stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
    try:
        block = array("h")
        async for event in stream:
            block.extend(event.frame.data)
            if len(block) >= _BLOCK:
                loudness, share = measured(block[:_BLOCK], frequency)
                if loudness > 0.05 and share > 0.8:
                    return True
                del block[:]
        return False
    finally:
        await stream.aclose()


def measured(samples: array[int], frequency: float) -> tuple[float, float]:
    """How loud these samples are (0 to 1, root mean square), and which share of their energy has this frequency."""
    energy = sum(sample * sample for sample in samples)
    if not energy:
        return 0.0, 0.0
    turn = 2 * math.pi * frequency / RATE
    real = sum(sample * math.cos(turn * n) for n, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(turn * n) for n, sample in enumerate(samples))
    count = len(samples)
    return math.sqrt(energy / count) / 32_768, 2 * (real * real + imaginary * imaginary) / (count * energy)
