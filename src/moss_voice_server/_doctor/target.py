"""A server that the checks reach, and one HTTP request to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from .._http.model import Attempt, Peer, Request, Response, TransportError
from .._secret import Secret
from .check import Ended, Verdict, fail

_PEERS = {"moss": "the Moss API", "livekit": "LiveKit", "endpoint": "the token endpoint"}


class Target(NamedTuple):
    """A server to reach, and where its URL is set."""

    link: str  # the link of the chain: `moss`, `livekit` or `endpoint`
    url: str  # as it is set; LiveKit's without a trailing slash
    setting: str = "LiveKit's URL"  # the setting that the URL comes from, for remedies

    @property
    def http(self) -> str:
        return "http" + self.url[2:] if self.url.startswith("ws") else self.url

    @property
    def websocket(self) -> str:
        return "ws" + self.url[4:] if self.url.startswith("http") else self.url

    @property
    def origin(self) -> str:
        return "{0.scheme}://{0.netloc}".format(urlsplit(self.http))

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def host_and_port(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_secure(self) -> bool:
        return urlsplit(self.url).scheme in ("https", "wss")

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or (443 if self.is_secure else 80)

    @property
    def uses_proxy(self) -> bool:
        """Whether the environment sends requests through a proxy; unencrypted ones never use one."""
        proxies = getproxies_environment()
        return self.is_secure and bool({"https", "all"} & set(proxies)) and not proxy_bypass(self.host)

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None, *, timeout: float
    ) -> Response:
        """The response, whatever its status; without one the check ends. Redirects are not followed."""
        from .._http.client import send

        request = Request(
            Peer(_PEERS[self.link], self.setting),
            method,
            self.http + path,
            secret_headers=tuple((name, Secret(value)) for name, value in headers.items()),
            body=None if body is None else Secret(body),
            kept_headers=None,
            reads_error_body=True,
        )
        answer = send(Attempt(request, 0.0, timeout))
        if isinstance(answer, TransportError):
            raise Ended(self.failure(answer))
        return answer

    def failure(self, error: TransportError) -> Verdict:
        return fail(f"{self.host_and_port}: {error.message}", error.remedy or "check that server's health and log")
