"""Servers below HTTP: a TCP or TLS server of a few lines, ports that refuse or swallow connections, certificates."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import trustme

Talk = Callable[[socket.socket, threading.Event], object]


@contextmanager
def listener(talk: Talk) -> Iterator[tuple[int, list[socket.socket]]]:
    """A TCP server on a free port; `talk` has each client until it returns or the event is set."""
    accepted: list[socket.socket] = []
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                if done.is_set():
                    client.close()
                    return
                accepted.append(client)
                with client, suppress(OSError):
                    talk(client, done)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port: int = listening.getsockname()[1]
        try:
            yield port, accepted
        finally:
            done.set()
            # A last connection wakes `accept`, which closing does not. Not by name: a test may replace `getaddrinfo`.
            with socket.socket() as last:
                last.settimeout(5)
                last.connect(("127.0.0.1", port))
            thread.join(10)
            assert not thread.is_alive()


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that answers nothing: its queue of connections is full, so the system drops further ones."""
    held = []
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        port: int = listening.getsockname()[1]
        try:
            for _ in range(50):
                client = socket.socket()
                held.append(client)
                client.settimeout(0.3)
                try:
                    client.connect(("127.0.0.1", port))
                except TimeoutError:
                    break
            else:
                pytest.skip("this system drops no connection to a full queue")
            yield port
        finally:
            for client in held:
                client.close()


def reset(client: socket.socket, _done: threading.Event) -> None:
    """Reset the connection at once."""
    # Lingering for no time makes close() send RST instead of FIN (POSIX.1-2017, 2.10.16).
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# The head of a TLS record of 16 kB that holds a ServerHello.
_RECORD = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03"


def trickle_handshake(client: socket.socket, done: threading.Event) -> None:
    """The head of a TLS record, and then a byte at a time."""
    client.sendall(_RECORD)
    while not done.wait(0.1):
        client.sendall(b"\0")


class CountingContext(ssl.SSLContext):
    """A server's TLS context that counts the connections."""

    connections = 0

    def wrap_socket(self, *arguments: Any, **keywords: Any) -> ssl.SSLSocket:
        """As the original."""
        self.connections += 1
        return super().wrap_socket(*arguments, **keywords)


def tls(certificate: trustme.LeafCert) -> CountingContext:
    """A server's context with that certificate."""
    context = CountingContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def self_signed(ca: trustme.CA, directory: Any) -> CountingContext:
    """A server's context with a certificate that is its own authority."""
    context = CountingContext(ssl.PROTOCOL_TLS_SERVER)
    file = directory / f"self-signed-{threading.get_ident()}.pem"
    file.write_bytes(ca.private_key_pem.bytes() + ca.cert_pem.bytes())
    context.load_cert_chain(file)
    return context


def good(ca: trustme.CA) -> trustme.LeafCert:
    """A certificate for 127.0.0.1."""
    return ca.issue_cert("127.0.0.1")


def expired(ca: trustme.CA) -> trustme.LeafCert:
    """A certificate that expired in 2020."""
    start = datetime(2020, 1, 1, tzinfo=timezone.utc)
    return ca.issue_cert("127.0.0.1", not_before=start, not_after=start + timedelta(days=90))


def unknown(_ca: trustme.CA) -> trustme.LeafCert:
    """A certificate of another authority."""
    return trustme.CA().issue_cert("127.0.0.1")


def wrong_host(ca: trustme.CA) -> trustme.LeafCert:
    """A certificate for another host."""
    return ca.issue_cert("other.example")
