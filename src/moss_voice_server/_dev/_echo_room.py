"""Echo room: one visit of the echo agent to one room: it hears people out and plays back what they said."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from livekit import rtc

from ._turns import Turns

if TYPE_CHECKING:
    from ._worker import Job

_RATE = 48_000
_PIECE = _RATE // 50  # samples that are listened to and played at a time: 20 ms
_DEAF_AFTER = 0.4  # seconds after its own words, in which they may still come back from somebody's loudspeaker
_NOBODY_COMES = 60.0  # seconds; a job starts with the room, before the one who opened it is in
_CHAT = "lk.chat"  # the topic of chat messages, and the attribute of an agent's state, in LiveKit's own clients
_STATE = "lk.agent.state"


class EchoRoom:
    """One visit. `attend` joins, and returns when everybody has left."""

    def __init__(self) -> None:
        self._room = rtc.Room()
        self._source = rtc.AudioSource(_RATE, 1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_speaking = False
        self._came = asyncio.Event()
        self._all_left = asyncio.Event()

    async def attend(self, job: Job) -> None:
        """Join, echo until nobody is there to hear it, and leave."""
        room = self._room
        room.on("participant_connected", self._see_who_is_there)
        room.on("participant_disconnected", self._see_who_is_there)
        room.on("disconnected", lambda *_: self._all_left.set())
        room.on("track_subscribed", self._subscribed)
        room.register_text_stream_handler(_CHAT, self._written)
        try:
            await room.connect(job.url, job.token)
            track = rtc.LocalAudioTrack.create_audio_track("echo", self._source)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            await room.local_participant.publish_track(track, options)
            await self._say_state("listening")
            self._see_who_is_there()
            await asyncio.wait_for(self._came.wait(), _NOBODY_COMES)
            await self._all_left.wait()
        except asyncio.TimeoutError:
            pass  # nobody came
        finally:
            await self._leave()

    async def _leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._room.disconnect()
        await self._source.aclose()

    def _see_who_is_there(self, *_: object) -> None:
        if any(map(_is_person, self._room.remote_participants.values())):
            self._came.set()
        elif self._came.is_set():
            self._all_left.set()

    def _subscribed(
        self, track: rtc.RemoteTrack, _publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        if isinstance(track, rtc.RemoteAudioTrack) and _is_person(who):
            self._begin(self._listen(track))

    def _written(self, reader: rtc.TextStreamReader, identity: str) -> None:
        who = self._room.remote_participants.get(identity)
        if who is not None and _is_person(who):  # two echoes would never end
            self._begin(self._write_back(reader))

    async def _write_back(self, reader: rtc.TextStreamReader) -> None:
        await self._room.local_participant.send_text(await reader.read_all(), topic=_CHAT)

    async def _listen(self, track: rtc.RemoteAudioTrack) -> None:
        turns = Turns(_RATE)
        sound = rtc.AudioStream(track, sample_rate=_RATE, num_channels=1, frame_size_ms=1000 * _PIECE // _RATE)
        try:
            async for event in sound:
                if self._is_speaking:
                    turns.forget()
                    continue
                turn = turns.hear(array("h", bytes(event.frame.data)))
                if turn is not None:
                    self._is_speaking = True
                    self._begin(self._speak(turn))
        finally:
            await sound.aclose()

    async def _speak(self, turn: array[int]) -> None:
        try:
            await self._say_state("speaking")
            for start in range(0, len(turn), _PIECE):
                piece = turn[start : start + _PIECE]
                await self._source.capture_frame(rtc.AudioFrame(piece.tobytes(), _RATE, 1, len(piece)))
            await self._source.wait_for_playout()
            await self._say_state("listening")
            await asyncio.sleep(_DEAF_AFTER)
        finally:
            self._is_speaking = False

    async def _say_state(self, state: str) -> None:
        await self._room.local_participant.set_attributes({_STATE: state})

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the room is going away under it; what matters is seen by the page


def _is_person(who: rtc.RemoteParticipant) -> bool:
    return who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
