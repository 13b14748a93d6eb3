"""Answer: from the Moss API's JSON, or from arguments, to LiveKit credentials; says which field is wrong, never its value."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from .._secret import Sealed, Secret
from .._token.signing import Signer
from .._urls import address

_KEY = re.compile(r"[\x21-\x7e]{1,512}")
FIELDS = ("voice_agent_url", "voice_agent_api_key", "voice_agent_api_secret", "voice_agent_name")


class Credentials(Sealed):
    """A voice agent's LiveKit credentials, checked and ready to sign."""

    __slots__ = ("agent_name", "signer", "url")

    def __init__(self, url: str, signer: Signer, agent_name: str) -> None:
        self.url = url
        self.signer = signer
        self.agent_name = agent_name

    def same_as(self, other: Credentials) -> bool:
        """Whether nothing has changed."""
        return (self.url, self.agent_name) == (other.url, other.agent_name) and self.signer.signs_like(other.signer)


class Unusable(NamedTuple):
    """Why an answer cannot be used."""

    text: str
    whole: bool
    """Whether the answer arrived as it was sent: asking again would bring the same."""


class _Refused(Exception):
    """Raised inside the JSON decoder, with nothing in it."""


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _Refused
    return fields


def _no_constant(_name: str) -> NoReturn:
    raise _Refused


@lru_cache(maxsize=1)
def _decoder() -> Callable[[str], Any]:
    from json import JSONDecoder  # credentials that are given by hand need none

    return JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant).decode


def parse(body: Secret[bytes]) -> Credentials | Unusable:
    """The credentials in an answer's body.

    Nothing is raised: an exception's frames would hold the body.
    """
    try:
        fields = Secret(_decoder()(body.reveal().decode()))
    except _Refused:
        return Unusable("the answer repeats a field or holds a number that JSON does not have", whole=True)
    except RecursionError:
        return Unusable("the answer is nested too deeply", whole=True)
    except ValueError:
        return Unusable("the answer is not JSON", whole=False)
    if not isinstance(fields.reveal(), dict):
        return Unusable(f"the answer is a JSON {_kind(fields)}, not an object", whole=True)
    missing = [name for name in FIELDS if name not in fields.reveal()]
    if missing:
        return Unusable(f"the answer lacks the field {', '.join(missing)}", whole=True)
    wrong = [name for name in FIELDS if not isinstance(fields.reveal()[name], str)]
    if wrong:
        return Unusable(f"the answer's field {', '.join(wrong)} is not a string", whole=True)
    url, api_key, api_secret, agent_name = (Secret(fields.reveal()[name]) for name in FIELDS)
    made = credentials(url, api_key, api_secret, agent_name)
    if isinstance(made, str):
        return Unusable(f"the answer's field {made}", whole=True)
    if not made.agent_name:
        return Unusable("the answer's field voice_agent_name is empty", whole=True)
    return made


def credentials(
    url: Secret[Any],
    api_key: Secret[Any],
    api_secret: Secret[Any],
    agent_name: Secret[Any],
    names: tuple[str, ...] = FIELDS,
) -> Credentials | str:
    """Credentials from four values, or what is wrong, beginning with the field's name."""
    url_name, key_name, secret_name, agent_name_name = names
    normal, problem = address(url.reveal(), secure=("wss", "https"), plain=("ws", "http"))
    if problem:
        return f"{url_name} {problem}"
    for name, value in ((key_name, api_key), (secret_name, api_secret), (agent_name_name, agent_name)):
        if not isinstance(value.reveal(), str):
            return f"{name} must be a str, not {type(value.reveal()).__name__}"
        if value.reveal().strip() != value.reveal():
            return f"{name} begins or ends with white space"
        if not _encodable(value):
            return f"{name} holds a lone surrogate, which UTF-8 cannot carry"
    if not _KEY.fullmatch(api_key.reveal()):
        return f"{key_name} must be 1 to 512 visible ASCII characters"
    if not api_secret.reveal():
        return f"{secret_name} is empty"
    return Credentials(normal, Signer(api_key.reveal(), api_secret), agent_name.reveal())


def _encodable(value: Secret[str]) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in value.reveal())


def _kind(value: Secret[Any]) -> str:
    kinds = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value.reveal()), "number")
