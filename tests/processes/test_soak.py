"""Soak, the short version: faults of every kind under load, without effect on callers. `soak.py` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes.served import NO_WAIT, needs
from tests.processes.soak import soak

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory in /proc, which only Linux has"),
]


def test_soak() -> None:
    """Through outages, refusals, a hang and rotations no request fails, no mint waits, and memory stays flat."""
    needs("gunicorn")
    report = soak(1.0, is_patient=False)
    assert [] == report.failures
    assert report.slowest < NO_WAIT
    assert report.growth < 8 * 1024
    assert min(phase.mints for phase in report.phases) > 0
