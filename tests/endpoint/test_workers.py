"""Workers: several processes serve one application, made before or after they were forked."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.endpoint.conftest import Fakes
from tests.endpoint.programs import GUNICORN, await_answer, environ, running
from tests.endpoint.wire import Request, bearer

PATIENCE = 60.0  # seconds until both workers must have answered


@pytest.mark.parametrize("preload", [True, False])
@pytest.mark.parametrize("adapter", ["wsgi", "flask"])
def test_two_workers(tmp_path: Path, fakes: Fakes, adapter: str, preload: bool) -> None:
    """Two workers never give out the same room or guest, also where both are copies of one process."""
    command = [part for part in GUNICORN if part != "--workers=1"] + ["--workers=2"]
    command += ["--preload"] * preload + ["--bind=fd://{fd}", f"tests.endpoint.app_{adapter}:app"]
    with running(f"{adapter}-two", command, tmp_path, environ(*fakes)) as program:
        await_answer(program, tmp_path)
        rooms: list[str] = []
        guests: list[str] = []
        seen: set[str] = set()
        deadline = time.monotonic() + PATIENCE
        while len(seen) < 2 or len(rooms) < 60:
            assert time.monotonic() < deadline, f"only {seen} answered"
            claims = program.ask("/sync/token", Request(bearer("process"))).claims
            seen.add(claims["metadata"])
            rooms.append(claims["video"]["room"])
            guests.append(program.ask("/async/guests", Request()).claims["sub"])
        assert set(map(str, program.workers)) == seen
        assert (len(rooms), len(guests)) == (len(set(rooms)), len(set(guests)))
        # Credentials are each worker's own to fetch: nobody waits, and both have them in the end.
        late: set[str] = set()
        while len(late) < 2:
            assert time.monotonic() < deadline, f"only {late} have credentials"
            answer = program.ask("/async/late-sync", Request(bearer("process")))
            if answer.status == 201:
                late.add(answer.claims["metadata"])
            else:
                assert 503 == answer.status
        assert seen == late
