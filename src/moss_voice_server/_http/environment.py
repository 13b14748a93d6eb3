"""Environment: which variable prevents the HTTP client from starting, and which proxy variables apply."""

from __future__ import annotations

import errno
import os

import httpx2

from .model import Request, TransportError

NO_MORE_FILES = (errno.EMFILE, errno.ENFILE)
TOO_MANY_FILES = TransportError(
    "too many open files in this process",
    "raise the limit of open files (ulimit -n), or find what leaves them open",
)


ssl_context = httpx2.create_ssl_context
"""The TLS settings that the client uses, with SSL_CERT_FILE and SSL_CERT_DIR; an OSError if one cannot be read."""


def proxy_variables(request: Request) -> list[str]:
    """The variables that set a proxy for this request, as they are spelled in the environment."""
    if request.is_plain:  # never sent to a proxy
        return []
    return _set("https_proxy", "all_proxy")


def no_proxy_remedy() -> str:
    """How a host is excepted from the proxy."""
    quoted = [name for name in _set("no_proxy") if set("\"'").intersection(os.environ[name])]
    return f"remove the quotation marks from {quoted[0]}" if quoted else "add its host to NO_PROXY"


def setup_error(error: Exception, request: Request, *, own_transport: bool) -> TransportError:
    """Why the client could not be made: nothing was sent, so it is this machine's environment."""
    if isinstance(error, OSError) and error.errno in NO_MORE_FILES:
        return TOO_MANY_FILES
    found = None
    if not own_transport and not request.is_plain:
        found = _proxy_error() or _trust_store_error()
    return found or TransportError(
        f"the HTTP client could not be created ({type(error).__name__})",
        "check the proxy and TLS variables of the environment",
    )


def _proxy_error() -> TransportError | None:
    for name in _set("http_proxy", "https_proxy", "all_proxy"):
        value = os.environ[name]
        try:
            httpx2.HTTPTransport(proxy=value if "://" in value else f"http://{value}", verify=False).close()
        except ImportError:
            return TransportError(
                f"{name} names a SOCKS proxy, and the package socksio is not installed",
                f"install it with `pip install socksio`, or unset {name}",
            )
        except Exception:  # noqa: BLE001  # the client names its reasons in many ways, the value among them
            return TransportError(
                f"{name} is not a valid proxy URL",
                f"set {name} to a URL such as http://proxy.example:3128, or unset it",
            )
    return None


def _trust_store_error() -> TransportError | None:
    try:
        ssl_context()
    except Exception as error:  # noqa: BLE001  # OSError, ssl.SSLError or ValueError, by what is wrong with the file
        if isinstance(error, OSError) and error.errno in NO_MORE_FILES:
            return TOO_MANY_FILES
        names = " or ".join(_set("ssl_cert_file", "ssl_cert_dir", "sslkeylogfile")) or "the system's trust store"
        return TransportError(
            f"TLS could not be set up: {names} cannot be read",
            f"correct {names}: it must name a readable PEM file",
        )
    return None


def _set(*names: str) -> list[str]:
    """The variables that are set and not empty, in either case; the lower-case one wins where both are set (as in urllib)."""
    spelled = ([each for each in (name, name.upper()) if os.environ.get(each)] for name in names)
    return [found[0] for found in spelled if found]
