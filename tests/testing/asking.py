"""Requests to FakeMoss: by `httpx2` over a socket and in memory, and by hand."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import httpx2

from moss_voice_server.testing import FakeMoss

# One for all: reading the system's certificates anew for every client would take most of the time of these tests.
TLS = ssl.create_default_context()
WAYS = ["socket", "socket-async", "memory", "memory-async"]


def path_of(moss: FakeMoss) -> str:
    """The endpoint with the voice agent's id."""
    return f"/api/voice-agent/get-voice-agent?voice_agent_id={moss.arguments['voice_agent_id']}"


def ask(
    moss: FakeMoss,
    way: str = "socket",
    *,
    timeout: httpx2.Timeout | float | None = 10,
    transport: Any = None,
    verify: ssl.SSLContext = TLS,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> httpx2.Response:
    """The response to the right project, apart from the headers that are passed."""
    if way.startswith("memory"):
        transport = transport or moss.transport()
    url, known = moss.url + path_of(moss), moss.arguments
    sent = {"X-Project-Id": known["project_id"], "X-Project-Key": known["project_key"], **headers}
    options = {"transport": transport, "timeout": timeout, "trust_env": False, "verify": verify}

    async def fetch() -> httpx2.Response:
        async with httpx2.AsyncClient(**options) as client:
            return await client.get(url, headers=sent)

    if way.endswith("async"):
        return asyncio.run(fetch())
    with httpx2.Client(**options) as client:
        return client.get(url, headers=sent)


def dial(moss: FakeMoss, sent: bytes | None = None) -> socket.socket:
    """A connection over which the right request was sent, or these bytes."""
    client = socket.create_connection(("127.0.0.1", int(moss.url.rpartition(":")[2])), timeout=10)
    known = moss.arguments
    head = f"X-Project-Id: {known['project_id']}\r\nX-Project-Key: {known['project_key']}\r\n"
    client.sendall(f"GET {path_of(moss)} HTTP/1.1\r\n{head}\r\n".encode() if sent is None else sent)
    return client


def drain(client: socket.socket) -> bytes:
    """All bytes until the end of the connection."""
    with client:
        return b"".join(iter(lambda: client.recv(65536), b""))
