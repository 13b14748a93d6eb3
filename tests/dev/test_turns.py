"""TurnDetector: where it cuts a sound."""

from __future__ import annotations

from array import array

import pytest

from moss_voice_server._dev.turns import TurnDetector

pytestmark = pytest.mark.once

RATE = 1000
PIECE = 20  # samples: 20 ms


def sound(seconds: float, level: int) -> array[int]:
    """A sound of this length whose samples are all as loud."""
    return array("h", [level, -level] * round(seconds * RATE / 2))


def heard(*sounds: array[int]) -> list[float]:
    """The lengths in seconds of the turns that are heard in these sounds, one after the other."""
    whole = array("h")
    for each in sounds:
        whole.extend(each)
    turns = TurnDetector(RATE)
    found = [turns.push(whole[start : start + PIECE]) for start in range(0, len(whole), PIECE)]
    return [len(turn) / RATE for turn in found if turn is not None]


SILENCE, SPEECH = 0, 5000


@pytest.mark.parametrize(
    ("sounds", "lengths"),
    [
        pytest.param([(3.0, SILENCE)], [], id="silence"),
        pytest.param([(3.0, 150)], [], id="noise of a room"),
        # 0.2 s from before, and the half second that ends it.
        pytest.param([(1.0, SILENCE), (1.0, SPEECH), (1.0, SILENCE)], [1.7], id="one turn"),
        pytest.param([(0.1, SILENCE), (1.0, SPEECH), (1.0, SILENCE)], [1.6], id="soon after the start"),
        pytest.param([(1.0, SPEECH), (0.4, SILENCE), (1.0, SPEECH), (1.0, SILENCE)], [2.9], id="a short pause"),
        pytest.param(
            [(1.0, SPEECH), (1.0, SILENCE), (1.0, SPEECH), (1.0, SILENCE)], [1.5, 1.7], id="a pause, two turns"
        ),
        pytest.param([(1.0, SILENCE), (0.02, SPEECH), (1.0, SILENCE)], [], id="a click"),
        pytest.param([(25.0, SPEECH)], [10.0, 10.0], id="without a pause"),
        pytest.param([(1.0, SPEECH)], [], id="not over yet"),
    ],
)
def test_turns(sounds: list[tuple[float, int]], lengths: list[float]) -> None:
    """A turn begins a little before the first loud piece, and ends with half a second of quiet or after ten seconds."""
    assert lengths == heard(*(sound(*each) for each in sounds))


def test_samples_of_a_turn() -> None:
    """The samples of a turn are those that were heard after a reset, in order. An empty piece is quiet."""
    said = array("h", range(1000, 1500))
    turns = TurnDetector(RATE)
    turns.push(sound(1.0, SPEECH))
    turns.reset()
    assert turns.push(array("h")) is None
    assert turns.push(said) is None
    assert said + sound(0.5, SILENCE) == turns.push(sound(0.5, SILENCE))
