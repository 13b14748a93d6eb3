"""Vectors: the clients' files, and how each client reads an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from tests.clients.endpoints import Answer

_FOLDER = Path(__file__).parents[1] / "vectors" / "clients"
CLIENTS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(_FOLDER.glob("*.json"))
}


class Vector(NamedTuple):
    """One request of one client."""

    client: str
    request: dict[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        """What is sent with it."""
        headers: dict[str, str] = self.request.get("headers", CLIENTS[self.client]["headers"])
        return headers

    def __str__(self) -> str:
        return f"{self.client}: {self.request['what']}"


VECTORS = [Vector(client, request) for client, described in CLIENTS.items() for request in described["requests"]]


def read_as(client: str, answer: Answer) -> tuple[str, str] | None:
    """The URL and the token that this client finds in a response; `None` where it reports an error."""
    rule = CLIENTS[client]["accepts"]
    taken = {"2xx": range(200, 300), "200": range(200, 201), "any": range(100, 600)}[rule["status"]]
    if answer.status not in taken:
        return None
    find = _in_text if rule["how"] == "text" else _in_json
    url, token = find(answer.text, rule["server_url"]), find(answer.text, rule["participant_token"])
    if not url or not token or not all(_in_json(answer.text, [key]) for key in rule.get("also", ())):
        return None
    return url, token


def _in_json(text: str, keys: list[str]) -> str | None:
    fields = json.loads(text)
    return next((fields[key] for key in keys if key in fields), None)


def _in_text(text: str, keys: list[str]) -> str | None:
    """As the C++ client does: up to the next quotation mark, without knowing of `\\u` escapes."""
    for key in keys:
        _, found, after = text.partition(f'"{key}":"')
        if found:
            return after.partition('"')[0].replace("\\", "")
    return None
