"""JSON strings, by CPython's C function alone: the json package would double what a first token loads.

`json_string` keeps characters beyond ASCII, `json_string_ascii` escapes them. Both refuse everything but a `str` with a
`TypeError`; of a subclass of `str` they take the characters.
"""

from __future__ import annotations

from collections.abc import Callable

json_string: Callable[[str], str]
json_string_ascii: Callable[[str], str]
try:
    from _json import encode_basestring as json_string
    from _json import encode_basestring_ascii as json_string_ascii
except ImportError:  # an interpreter without CPython's accelerator
    from json.encoder import encode_basestring as json_string
    from json.encoder import encode_basestring_ascii as json_string_ascii

__all__ = ["json_string", "json_string_ascii"]
