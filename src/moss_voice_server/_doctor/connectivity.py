"""Check whether a host can be reached: DNS, port and TLS."""

from __future__ import annotations

import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial

from .check import Verdict, fail, ok, skip, warn
from .found import Found
from .options import Options
from .target import Target

_SOON = 14 * 86400.0  # seconds before a certificate expires that are worth a warning
_CERTIFICATE = "renew it, or set SSL_CERT_FILE to its authority; check the host name in it, and this machine's clock"


def judges(link: str) -> dict[str, Callable[[Found], Verdict]]:
    """The DNS lookup and the TLS handshake with the server of a link."""
    return {f"{link}.dns": partial(_dns, link), f"{link}.tls": partial(_tls, link)}


def _dns(link: str, found: Found) -> Verdict:
    target = found.target(link)
    if target.uses_proxy:
        return skip(f"a proxy is set in the environment and looks up {target.host}")
    with suppress(ValueError):
        ipaddress.ip_address(target.host)
        return skip(f"{target.host} is an IP address, no DNS lookup needed")
    addresses = _look_up(target, found.options.timeout)
    if isinstance(addresses, str):
        return fail(f"{target.host}: {addresses}", f"check {target.setting} and this machine's DNS")
    more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
    return ok(f"{target.host} is {addresses[0]}{more}")


def _look_up(target: Target, timeout: float) -> list[str] | str:
    """The host's IP addresses, or why there are none. On a thread, because a lookup that hangs cannot be stopped."""
    results: queue.SimpleQueue[list[str] | str] = queue.SimpleQueue()

    def work() -> None:
        try:
            records = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
            results.put(list(dict.fromkeys(str(record[4][0]) for record in records)))
        except (OSError, UnicodeError):
            results.put("the DNS does not know this name")

    threading.Thread(target=work, name="moss-voice-server-doctor-lookup", daemon=True).start()
    try:
        return results.get(timeout=timeout)
    except queue.Empty:
        return f"the DNS did not answer within {timeout:g} s"


def _tls(link: str, found: Found) -> Verdict:
    target = found.target(link)
    if target.uses_proxy:
        return skip("a proxy is set in the environment")
    if found.status(f"{link}.dns") == "fail":
        return skip("the host was not found")
    if not target.is_secure:
        return skip("the URL is unencrypted, which is allowed on this machine")
    return _handshake(target, found.options)


def _handshake(target: Target, options: Options) -> Verdict:
    from .._http.environment import ssl_context

    try:
        context = ssl_context()
    except OSError:
        return fail(
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
        detail, remedy = _explain(error, target, options.timeout)
        return fail(f"{target.host_and_port}: {detail}", remedy)
    detail, until = f"{version}, trusted certificate", str(certificate.get("notAfter", ""))
    if not until:
        return ok(detail)
    end = float(ssl.cert_time_to_seconds(until))
    date = datetime.fromtimestamp(end, timezone.utc).strftime("%Y-%m-%d")
    if end - options.now() < _SOON:
        return warn(f"{detail}, which expires on {date}", "renew the certificate")
    return ok(f"{detail} until {date}")


def _explain(error: OSError, target: Target, timeout: float) -> tuple[str, str]:
    """Cause and remedy for a handshake that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.lower().rstrip(".") or "verification failed"
        return f"TLS certificate not trusted ({reason})", _CERTIFICATE
    if isinstance(error, ConnectionRefusedError):
        return "connection refused", f"start the server, or check host and port in {target.setting}"
    if isinstance(error, TimeoutError):
        hint = "check the firewall; a server without TLS on this port has the same effect"
        return f"TLS handshake timed out after {timeout:g} s", hint
    if isinstance(error, ssl.SSLError):
        hint = f"check scheme and port in {target.setting}: the port may be a plain one"
        return "no TLS on this port, the handshake failed", hint
    return "connection lost", "check that server's health and log"
