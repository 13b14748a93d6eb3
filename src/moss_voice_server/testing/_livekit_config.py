"""The configuration of a LiveKit server on loopback: its keys, its port, its settings."""

from __future__ import annotations

import json
import random
import secrets
import socket
from typing import TYPE_CHECKING

from moss_voice_server._secret import Secret

from ._livekit_binary import LiveKitServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "127.0.0.1"
# Below the ranges of outgoing connections (Linux from 32768, others from 49152): no client's port is in the way,
# neither now nor when the server restarts on the same port.
_PORTS = range(20_000, 32_000)


def random_keys(api_key: str | None = None, api_secret: str | None = None) -> dict[str, str]:
    """One API key and its secret, random unless given."""
    return {api_key or f"API{secrets.token_hex(6)}": api_secret or secrets.token_urlsafe(36)}


def checked_keys(keys: Mapping[str, str]) -> Secret[dict[str, str]]:
    """A copy of `keys` that cannot be printed; a ValueError for none, or for an empty key or secret."""
    if not keys or "" in keys or "" in keys.values():
        raise ValueError("keys must map at least one API key to its secret, neither of them empty")
    return Secret(dict(keys))


def free_port() -> int:
    """A port that is free on loopback for TCP (signalling) and for UDP (media)."""
    for port in random.sample(_PORTS, k=100):
        try:
            with (
                socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            ):
                tcp.bind((HOST, port))
                udp.bind((HOST, port))
        except OSError:
            continue
        return port
    raise LiveKitServerError(f"no free port on {HOST} between {_PORTS.start} and {_PORTS.stop}")


def config(port: int, keys: Secret[dict[str, str]], webhook_urls: tuple[str, ...] = ()) -> Secret[str]:
    """The server's configuration as JSON, which is YAML: signalling and media on loopback only."""
    return Secret(
        json.dumps(
            {
                "port": port,
                "bind_addresses": [HOST],
                "keys": keys.reveal(),
                "logging": {"level": "info"},
                "webhook": {"api_key": next(iter(keys.reveal())), "urls": list(webhook_urls)} if webhook_urls else {},
                # Default 0.7: a worker that reports a higher load would get no job, even as the only one.
                "agents": {"target_load": 1.0},
                "rtc": {
                    "node_ip": HOST,
                    "udp_port": port,
                    "tcp_port": 0,  # off: LiveKit binds it to every interface, whatever bind_addresses says
                    "allow_tcp_fallback": False,
                    "use_external_ip": False,
                    "enable_loopback_candidate": True,
                    "ips": {"includes": [f"{HOST}/32"]},  # else the UDP port is bound on every address
                    # Else clients get public STUN servers. Not our own port: clients would read its traffic as STUN.
                    "stun_servers": [f"{HOST}:9"],
                },
            }
        )
    )
