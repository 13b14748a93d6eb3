"""Quoting: a text as JSON, by the C function alone; the whole json package would double what a first token loads."""

from __future__ import annotations

from collections.abc import Callable

quoted: Callable[[str], str]
try:
    from _json import encode_basestring as quoted
except ImportError:  # an interpreter without CPython's accelerator
    from json.encoder import encode_basestring as quoted

__all__ = ["quoted"]
