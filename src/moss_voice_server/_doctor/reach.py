"""Reach: whether a host is there at all: its name, its port, its TLS; and words for why it is not."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Generator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from .._http.model import Response, TransportError
from .check import Check, Stopwatch
from .plan import Plan

_SOON = 14 * 86400.0  # seconds before a certificate's end at which it is worth a word


class Place(NamedTuple):
    """Whom to look for, and what people call them."""

    link: str
    """The link of the chain, such as `livekit`."""
    url: str
    setting: str
    """Where the address comes from, for remedies."""

    @property
    def origin(self) -> str:
        """The address without its path."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def host(self) -> str:
        """The host's name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def where(self) -> str:
        """Host and port, as an address writes them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_secure(self) -> bool:
        """Whether it is behind TLS."""
        return urlsplit(self.url).scheme in ("https", "wss")

    @property
    def port(self) -> int:
        """The port, the scheme's own where none is named."""
        return urlsplit(self.url).port or (443 if self.is_secure else 80)


def checks(place: Place, plan: Plan) -> Generator[Check, None, bool]:
    """The name look-up and the TLS handshake; returns whether it is worth asking any further."""
    watch = Stopwatch(plan.mono)
    dns, tls = f"{place.link}.dns", f"{place.link}.tls"
    if proxy_for(place):
        yield watch.skip(dns, f"a proxy is set in the environment: it looks up {place.host}")
        yield watch.skip(tls, "a proxy is set in the environment: it stands between")
        return True
    found = _look_up(place, plan.timeout)
    if isinstance(found, str):
        yield watch.fail(dns, f"{place.host}: {found}", f"check {place.setting} and this machine's DNS")
        yield watch.skip(tls, "the host was not found")
        return False
    if _is_address(place.host):
        yield watch.skip(dns, f"{place.host} is an address, no name")
    else:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        yield watch.ok(dns, f"{place.host} is {found[0]}{more}")
    if not place.is_secure:
        yield watch.skip(tls, "no TLS: the address is plain, and this machine's own")
        return True
    check = _handshake(place, plan, watch)
    yield check
    return check.status != "fail"


def names(link: str) -> tuple[str, str]:
    """The names of the checks above."""
    return f"{link}.dns", f"{link}.tls"


def proxy_for(place: Place) -> bool:
    """Whether the environment sends requests for this place through a proxy; plain ones never go through one."""
    proxies = getproxies_environment()
    return place.is_secure and bool({"https", "all"} & set(proxies)) and not proxy_bypass(place.host)


def why(fault: TransportError, place: Place, timeout: float) -> tuple[str, str]:
    """Detail and remedy for a request that got no answer."""
    where = place.where
    tls = "the other side speaks plain HTTP there, perhaps" if place.is_secure else "it speaks TLS there, perhaps"
    words = {
        "gaierror": ("the host's name cannot be looked up", f"check {place.setting} and this machine's DNS"),
        "ConnectionRefusedError": ("nobody listens there", f"start it, or check host and port in {place.setting}"),
        "SSLCertVerificationError": ("its TLS certificate is not trusted", _CERTIFICATE),
        "SSLError": ("the TLS handshake failed", f"{tls}: check scheme and port in {place.setting}"),
        "ProxyError": ("the proxy refused", "check HTTPS_PROXY, ALL_PROXY and NO_PROXY"),
        "ConnectTimeout": ("no connection came about", "look for a firewall between, and check host and port"),
        "RemoteProtocolError": ("what came back is not HTTP", f"{tls}: check scheme and port in {place.setting}"),
    }
    if "Timeout" in fault.cause:
        otherwise = f"no whole answer within {timeout:g} s"
    else:
        otherwise = "the connection broke off, or could not be made"
    detail, remedy = words.get(fault.cause, (otherwise, "look at that server's health and log, and try again"))
    return f"{where}: {detail}", remedy


_CERTIFICATE = "renew it, or name its authority in SSL_CERT_FILE; check the host's name in it, and this machine's clock"


def date_of(response: Response) -> float | None:
    """When an answer was made, by its server's clock (RFC 9110, section 6.6.1)."""
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _look_up(place: Place, timeout: float) -> list[str] | str:
    """The host's addresses, or why there are none. On a thread: a look-up that hangs cannot be stopped."""
    found: list[str] | str = f"no answer from the DNS within {timeout:g} s"

    def work() -> None:
        nonlocal found
        try:
            records = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(record[4][0]) for record in records))
        except (OSError, UnicodeError):
            found = "the DNS knows no such name"

    thread = threading.Thread(target=work, name="moss-voice-server-doctor-lookup", daemon=True)
    thread.start()
    thread.join(timeout)
    return found


def _handshake(place: Place, plan: Plan, watch: Stopwatch) -> Check:
    from .._http.environment import ssl_context

    name = f"{place.link}.tls"
    where = place.where
    try:
        context = ssl_context()
    except OSError:
        return watch.fail(
            name,
            "SSL_CERT_FILE or SSL_CERT_DIR names something that cannot be read",
            "correct the variable, or unset it to use the usual authorities",
        )
    deadline = time.monotonic() + plan.timeout
    try:
        with socket.create_connection((place.host, place.port), timeout=plan.timeout) as plain:
            plain.settimeout(max(0.001, deadline - time.monotonic()))
            with context.wrap_socket(plain, server_hostname=place.host) as wrapped:
                version, certificate = wrapped.version(), wrapped.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        reason = error.verify_message.lower().rstrip(".") or "verification failed"
        return watch.fail(name, f"{where}: its certificate is not trusted ({reason})", _CERTIFICATE)
    except ConnectionRefusedError:
        return watch.fail(
            name, f"{where}: nobody listens there", f"start it, or check host and port in {place.setting}"
        )
    except TimeoutError:
        return watch.fail(
            name,
            f"{where}: no TLS handshake within {plan.timeout:g} s",
            "look for a firewall between; a server that speaks plain HTTP there would wait like this, too",
        )
    except ssl.SSLError:
        return watch.fail(
            name,
            f"{where}: no TLS there, the handshake failed",
            f"it is a plain port, perhaps: check scheme and port in {place.setting}",
        )
    except OSError:
        return watch.fail(name, f"{where}: the connection broke off", "look at that server's health and log")
    return _certificate(watch, name, f"{version}, a trusted certificate", str(certificate.get("notAfter", "")), plan)


def _certificate(watch: Stopwatch, name: str, detail: str, until: str, plan: Plan) -> Check:
    if not until:
        return watch.ok(name, detail)
    end = float(ssl.cert_time_to_seconds(until))
    date = datetime.fromtimestamp(end, timezone.utc).strftime("%Y-%m-%d")
    if end - plan.now() < _SOON:
        return watch.warn(name, f"{detail}, which ends on {date}", "renew the certificate")
    return watch.ok(name, f"{detail} until {date}")
