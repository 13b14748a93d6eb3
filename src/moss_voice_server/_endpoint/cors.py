"""CORS: which pages of other origins may read a response (fetch.spec.whatwg.org, "CORS protocol")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..errors import InvalidArgument
from .refusal import Headers, Refusal, shown
from .responses import COMMON_HEADERS, Response

_HINT = "add the origin to allow_origins"


class Cors:
    """The rules for an exact list of origins; an empty list means no CORS headers at all."""

    def __init__(self, allow_origins: Iterable[str]) -> None:
        if isinstance(allow_origins, str) or not isinstance(allow_origins, Iterable):
            raise InvalidArgument(
                "allow_origins is not a list of origins",
                field="allow_origins",
                remedy="pass a list such as ['https://app.example']",
            )
        origins = tuple(allow_origins)
        for origin in origins:
            _check(origin)
        self._origins = frozenset(origins)

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may read responses."""
        return origin in self._origins

    def preflight(self, headers: Mapping[str, str]) -> Response | None:
        """The response to a preflight request; `None` if this OPTIONS request is not one, or CORS is off."""
        if not headers.get("access-control-request-method"):
            return None
        origin = headers.get("origin", "")
        if not self.allows(origin):
            refusal = Refusal(403, "origin_not_allowed", f"CORS preflight from {shown(origin)}", hint=_HINT)
            if self._origins:
                raise refusal
            # Without CORS this is an OPTIONS request as any other; the log still says what the developer needs.
            raise Refusal(405, "method_not_allowed", refusal.subject, hint=_HINT, headers=(("allow", "POST"),))
        # The app's own headers carry its authentication: an allowed origin may send any.
        requested = headers.get("access-control-request-headers", "")
        names = requested if re.fullmatch(r"[A-Za-z0-9_, -]{1,512}", requested) else "content-type"
        return Response(
            204,
            (
                *COMMON_HEADERS[1:],
                ("access-control-allow-methods", "POST"),
                ("access-control-allow-headers", names),
                ("access-control-max-age", "600"),
            ),  # no Content-Length: a 204 must not have one (RFC 9110, section 8.6)
            b"",
        )

    def check_site(self, headers: Mapping[str, str]) -> None:
        """Rejects a request that the browser itself reports as coming from another site, unless its origin is allowed."""
        if headers.get("sec-fetch-site") == "cross-site":
            origin = headers.get("origin", "")
            if not self.allows(origin):
                raise Refusal(403, "origin_not_allowed", f"origin {shown(origin)}", hint=_HINT)

    def add_headers(self, response: Response, origin: str) -> Response:
        """The same response, readable by pages of an allowed origin; without these headers a browser hides even errors."""
        if not self._origins:
            return response
        return replace(response, headers=response.headers + self.headers(origin))

    def headers(self, origin: str) -> Headers:
        """The headers that a response to this origin needs."""
        if not self._origins:
            return ()
        if not self.allows(origin):
            return (("vary", "origin"),)
        return (
            ("vary", "origin"),
            ("access-control-allow-origin", origin),
            ("access-control-allow-credentials", "true"),
            ("access-control-expose-headers", "retry-after"),
        )


def _check(origin: object) -> None:
    # Any scheme: an app in a web view has its own, such as capacitor://localhost.
    if not isinstance(origin, str) or not re.fullmatch(r"[a-z][a-z0-9+.-]*://[a-z0-9.\[\]:_-]+", origin):
        raise InvalidArgument(
            "allow_origins contains a value that is not an origin as browsers send it",
            field="allow_origins",
            remedy="write scheme, lower-case host and any port, such as https://app.example; list each one, * is not allowed",
        )
    default_port = {"https": ":443", "http": ":80"}.get(origin.partition(":")[0])
    if default_port and origin.endswith(default_port):
        raise InvalidArgument(
            f"allow_origins contains {origin}, which browsers send without the port",
            field="allow_origins",
            remedy=f"remove {default_port}",
        )
