"""One job of the echo agent: it joins a room, and repeats what people say and write there."""

from __future__ import annotations

import asyncio
from array import array

from livekit import rtc

from .echo import Tasks
from .turns import TurnDetector
from .worker import Job

_RATE = 48_000
_PIECE = _RATE // 50  # samples that are received and played at a time: 20 ms
_DEAF_AFTER = 0.4  # seconds after it spoke, in which its voice may come back from a loudspeaker
_CONNECT_TIMEOUT = 10.0  # seconds
_EMPTY_TIMEOUT = 60.0  # seconds; a job starts with the room, before its first participant is in
_CHAT = "lk.chat"  # the topic of chat messages in LiveKit's own clients
_STATE = "lk.agent.state"  # the attribute with an agent's state in LiveKit's own clients


class EchoRoom:
    """One room. `run` joins it, and returns when all people have left."""

    def __init__(self) -> None:
        self._room = rtc.Room()
        self._source = rtc.AudioSource(_RATE, 1)
        self._tasks = Tasks()
        self._is_speaking = False
        self._someone_joined = asyncio.Event()
        self._all_left = asyncio.Event()

    async def run(self, job: Job) -> None:
        """Join, repeat what people say until the last one leaves, and leave."""
        room = self._room
        room.on("participant_connected", self._check_people)
        room.on("participant_disconnected", self._check_people)
        room.on("disconnected", lambda *_: self._all_left.set())
        room.on("track_subscribed", self._on_track)
        room.register_text_stream_handler(_CHAT, self._on_message)
        connecting = asyncio.ensure_future(room.connect(job.url, job.token))
        try:
            await asyncio.shield(connecting)
            track = rtc.LocalAudioTrack.create_audio_track("echo", self._source)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            await room.local_participant.publish_track(track, options)
            await self._set_state("listening")
            self._check_people()
            await asyncio.wait_for(self._someone_joined.wait(), _EMPTY_TIMEOUT)
            await self._all_left.wait()
        except asyncio.TimeoutError:
            pass  # the room stayed empty
        finally:
            await self._leave(connecting)

    async def _leave(self, connecting: asyncio.Future[None]) -> None:
        # LiveKit's library ends the process if a connection that it makes is abandoned.
        await asyncio.wait([connecting], timeout=_CONNECT_TIMEOUT)
        await self._tasks.cancel()
        await self._room.disconnect()
        await self._source.aclose()

    def _check_people(self, *_: object) -> None:
        if any(map(_is_person, self._room.remote_participants.values())):
            self._someone_joined.set()
        elif self._someone_joined.is_set():
            self._all_left.set()

    def _on_track(
        self, track: rtc.RemoteTrack, _publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        if isinstance(track, rtc.RemoteAudioTrack) and _is_person(who):
            self._tasks.start(self._listen(track))

    def _on_message(self, reader: rtc.TextStreamReader, identity: str) -> None:
        who = self._room.remote_participants.get(identity)
        if who is not None and _is_person(who):  # two echo agents would answer each other endlessly
            self._tasks.start(self._write_back(reader))

    async def _write_back(self, reader: rtc.TextStreamReader) -> None:
        await self._room.local_participant.send_text(await reader.read_all(), topic=_CHAT)

    async def _listen(self, track: rtc.RemoteAudioTrack) -> None:
        detector = TurnDetector(_RATE)
        sound = rtc.AudioStream(track, sample_rate=_RATE, num_channels=1, frame_size_ms=1000 * _PIECE // _RATE)
        try:
            async for event in sound:
                if self._is_speaking:
                    detector.reset()
                    continue
                turn = detector.push(array("h", bytes(event.frame.data)))
                if turn is not None:
                    self._is_speaking = True
                    self._tasks.start(self._speak(turn))
        finally:
            await sound.aclose()

    async def _speak(self, turn: array[int]) -> None:
        try:
            await self._set_state("speaking")
            for start in range(0, len(turn), _PIECE):
                piece = turn[start : start + _PIECE]
                await self._source.capture_frame(rtc.AudioFrame(piece.tobytes(), _RATE, 1, len(piece)))
            await self._source.wait_for_playout()
            await self._set_state("listening")
            await asyncio.sleep(_DEAF_AFTER)
        finally:
            self._is_speaking = False

    async def _set_state(self, state: str) -> None:
        await self._room.local_participant.set_attributes({_STATE: state})


def _is_person(who: rtc.RemoteParticipant) -> bool:
    return who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
