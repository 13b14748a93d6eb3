"""Check whether a host can be reached: DNS, port and TLS; and explain why a request failed."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Generator
from datetime import datetime, timezone
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from .._http.model import Peer, TransportError
from .check import Check, Stopwatch
from .options import Options

_SOON = 14 * 86400.0  # seconds before a certificate expires that are worth a warning
_CERTIFICATE = "renew it, or set SSL_CERT_FILE to its authority; check the host name in it, and this machine's clock"


class Target(NamedTuple):
    """A server to reach, and where its URL is set."""

    link: str
    """The link of the chain, such as `livekit`."""
    url: str
    setting: str
    """The setting that the URL comes from, for remedies."""

    @property
    def peer(self) -> Peer:
        """The server, as errors call it."""
        return Peer({"moss": "the Moss API", "livekit": "LiveKit"}.get(self.link, "the token endpoint"), self.setting)

    @property
    def origin(self) -> str:
        """The URL without its path."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def host(self) -> str:
        """The host name or IP address."""
        return urlsplit(self.url).hostname or ""

    @property
    def host_and_port(self) -> str:
        """Host and port, as a URL contains them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_secure(self) -> bool:
        """Whether it uses TLS."""
        return urlsplit(self.url).scheme in ("https", "wss")

    @property
    def port(self) -> int:
        """The port, by default the scheme's."""
        return urlsplit(self.url).port or (443 if self.is_secure else 80)


def checks(target: Target, options: Options) -> Generator[Check, None, bool]:
    """The DNS lookup and the TLS handshake; returns whether a request makes sense."""
    watch = Stopwatch(options.mono)
    dns, tls = names(target.link)
    if uses_proxy(target):
        yield watch.skip(dns, f"a proxy is set in the environment and looks up {target.host}")
        yield watch.skip(tls, "a proxy is set in the environment")
        return True
    if _is_ip_address(target.host):
        yield watch.skip(dns, f"{target.host} is an IP address, no DNS lookup needed")
    else:
        try:
            addresses = _look_up(target, options.timeout)
        except OSError as error:
            yield watch.fail(dns, f"{target.host}: {error}", f"check {target.setting} and this machine's DNS")
            yield watch.skip(tls, "the host was not found")
            return False
        more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
        yield watch.ok(dns, f"{target.host} is {addresses[0]}{more}")
    if not target.is_secure:
        yield watch.skip(tls, "the URL is unencrypted, which is allowed on this machine")
        return True
    check = _handshake(target, options, watch)
    yield check
    return check.status != "fail"


def names(link: str) -> tuple[str, str]:
    """The names of the checks above."""
    return f"{link}.dns", f"{link}.tls"


def uses_proxy(target: Target) -> bool:
    """Whether the environment sends requests to this target through a proxy; unencrypted ones never use one."""
    proxies = getproxies_environment()
    return target.is_secure and bool({"https", "all"} & set(proxies)) and not proxy_bypass(target.host)


def explain(error: TransportError, target: Target) -> tuple[str, str]:
    """Cause and remedy for a request without a response."""
    return f"{target.host_and_port}: {error.message}", error.remedy or "check that server's health and log"


def _refused(target: Target) -> tuple[str, str]:
    return "connection refused", f"start the server, or check host and port in {target.setting}"


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _look_up(target: Target, timeout: float) -> list[str]:
    """The host's IP addresses. On a thread, because a lookup that hangs cannot be stopped.

    Raises:
        OSError: the DNS does not know the name, or did not answer in time.
    """
    found: list[str] | None = None
    thread_failed = threading.Event()

    def work() -> None:
        nonlocal found
        try:
            records = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(record[4][0]) for record in records))
        except (OSError, UnicodeError):
            thread_failed.set()

    thread = threading.Thread(target=work, name="moss-voice-server-doctor-lookup", daemon=True)
    thread.start()
    thread.join(timeout)
    if thread_failed.is_set():
        raise OSError("the DNS does not know this name")
    if not found:
        raise OSError(f"the DNS did not answer within {timeout:g} s")
    return found


def _handshake(target: Target, options: Options, watch: Stopwatch) -> Check:
    from .._http.environment import ssl_context

    name = names(target.link)[1]
    try:
        context = ssl_context()
    except OSError:
        return watch.fail(
            name,
            "SSL_CERT_FILE or SSL_CERT_DIR names something that cannot be read",
            "correct the variable, or unset it to use the default authorities",
        )
    deadline = time.monotonic() + options.timeout
    try:
        with socket.create_connection((target.host, target.port), timeout=options.timeout) as plain:
            plain.settimeout(max(0.001, deadline - time.monotonic()))
            with context.wrap_socket(plain, server_hostname=target.host) as wrapped:
                version, certificate = wrapped.version(), wrapped.getpeercert() or {}
    except OSError as error:  # ssl.SSLError is one
        detail, remedy = _explain_handshake(error, target, options.timeout)
        return watch.fail(name, f"{target.host_and_port}: {detail}", remedy)
    return _certificate(watch, name, f"{version}, trusted certificate", str(certificate.get("notAfter", "")), options)


def _explain_handshake(error: OSError, target: Target, timeout: float) -> tuple[str, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.lower().rstrip(".") or "verification failed"
        return f"TLS certificate not trusted ({reason})", _CERTIFICATE
    if isinstance(error, ConnectionRefusedError):
        return _refused(target)
    if isinstance(error, TimeoutError):
        hint = "check the firewall; a server without TLS on this port has the same effect"
        return f"TLS handshake timed out after {timeout:g} s", hint
    if isinstance(error, ssl.SSLError):
        hint = f"check scheme and port in {target.setting}: the port may be a plain one"
        return "no TLS on this port, the handshake failed", hint
    return "connection lost", "check that server's health and log"


def _certificate(watch: Stopwatch, name: str, detail: str, until: str, options: Options) -> Check:
    if not until:
        return watch.ok(name, detail)
    end = float(ssl.cert_time_to_seconds(until))
    date = datetime.fromtimestamp(end, timezone.utc).strftime("%Y-%m-%d")
    if end - options.now() < _SOON:
        return watch.warn(name, f"{detail}, which expires on {date}", "renew the certificate")
    return watch.ok(name, f"{detail} until {date}")
