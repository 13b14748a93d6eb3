"""The floor: the two base64 encodings and the HMAC of a finished token's bytes, and nothing else.

No program that mints with Python's standard library in the plain way can be faster: it checks nothing, builds nothing, and
does not even put the parts together.
"""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hmac import digest
from typing import Any

from ..request import LIFE, Request


def minter(request: dict[str, Any]) -> Callable[[int], str]:
    """See the package's docstring."""
    now = int(time.time())
    asked = Request(**{**request, "attributes": tuple(request["attributes"].items())})
    secret = asked.api_secret.encode()
    claims = asked.claims() | {"nbf": now, "exp": now + LIFE}
    payload = json.dumps(claims, separators=(",", ":")).encode()
    header = urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}')
    message = header + b"." + urlsafe_b64encode(payload).rstrip(b"=")

    def mint(count: int) -> str:
        encoded = signature = b""
        for _ in range(count):
            encoded = urlsafe_b64encode(payload)
            signature = urlsafe_b64encode(digest(secret, message, "sha256"))
        # Once, to prove that these are the parts of a token.
        return b".".join((header, encoded.rstrip(b"="), signature.rstrip(b"="))).decode()

    return mint
