"""Fixtures of the fault tests: a bare environment, no thread of ours left behind, certificates; and a refresh that fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from moss_voice_server._credentials.runtime import Runtime
from moss_voice_server.errors import CredentialsError
from tests.faults.table import HIDDEN
from tests.support.errors import caught
from tests.support.secret_scan import spilled
from tests.support.servers import Server, ServerClass
from tests.support.threads import settled

_STEERING = ("SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_LAMBDA_FUNCTION_NAME", "K_SERVICE", "FUNCTIONS_WORKER_RUNTIME")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a proxy nor a trust store nor a platform from the environment of the tests."""
    for name in list(os.environ):
        if name in _STEERING or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    """The threads that a test's fetches ran on end with it."""
    yield
    settled()


class Authority(NamedTuple):
    """A certificate authority that only its users trust, and its file."""

    ca: trustme.CA
    file: Path


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One for the whole run: making keys takes time."""
    made = Authority(trustme.CA(), tmp_path_factory.mktemp("authority") / "ca.pem")
    made.ca.cert_pem.write_to_path(str(made.file))
    return made


def instant(server_class: ServerClass, arguments: dict[str, str], **options: Any) -> Server:
    """A server that has fetched nothing yet; the pauses between its attempts have no length."""
    return server_class.new(arguments, Runtime(uniform=lambda _low, _high: 0.0), **options)


def fails(server_class: ServerClass, arguments: dict[str, str], **options: Any) -> CredentialsError:
    """The error of a refresh that has to fail; nothing is cached, and neither key nor response shows."""
    server = instant(server_class, arguments, **options)
    error = caught(server_class.refresh, server)
    assert isinstance(error, CredentialsError), error
    assert ("empty", None, None) == (server.status().state, error.__cause__, error.__context__)
    assert [] == spilled(error, [arguments["project_key"], *HIDDEN])
    return error
