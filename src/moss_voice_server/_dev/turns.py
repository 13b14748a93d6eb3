"""Cut a speaker's sound into turns: from the first loud piece to a pause."""

from __future__ import annotations

from array import array
from collections import deque

_LOUD = 200  # mean of the samples' absolute values; full scale is 32768, so this is -44 dB
_PAUSE = 0.5  # seconds of quiet that end a turn
_LONGEST = 10.0  # seconds after which a turn ends in any case, such as in background noise
_LEAD_IN = 0.2  # seconds that are kept from before the first loud piece: words begin softly
_SHORTEST = 0.05  # seconds of loud pieces; a click is shorter


class TurnDetector:
    """Cuts one speaker's sound, of `rate` samples per second, into turns."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._lead_in: deque[array[int]] = deque()
        self.reset()

    def reset(self) -> None:
        self._lead_in.clear()
        self._turn: array[int] = array("h")
        self._loud = 0
        self._quiet = 0

    def push(self, piece: array[int]) -> array[int] | None:
        """Add the next piece, some milliseconds of 16-bit samples. Returns the whole turn when it has ended."""
        is_loud = sum(map(abs, piece)) > _LOUD * len(piece)
        if not self._turn and not is_loud:
            self._keep_lead_in(piece)
            return None
        if not self._turn:
            for earlier in self._lead_in:
                self._turn.extend(earlier)
            self._lead_in.clear()
        self._turn.extend(piece)
        self._loud += len(piece) if is_loud else 0
        self._quiet = 0 if is_loud else self._quiet + len(piece)
        if self._quiet < _PAUSE * self._rate and len(self._turn) < _LONGEST * self._rate:
            return None
        turn, loud = self._turn, self._loud
        self.reset()
        return turn if loud >= _SHORTEST * self._rate else None

    def _keep_lead_in(self, piece: array[int]) -> None:
        self._lead_in.append(piece)
        while sum(map(len, self._lead_in)) > _LEAD_IN * self._rate:
            self._lead_in.popleft()
