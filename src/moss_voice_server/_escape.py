"""Shorten and escape untrusted text, so that it neither floods nor controls a terminal or a log."""

from __future__ import annotations


def escape(value: object, limit: int = 64) -> str:
    """`value` as text: at most `limit` characters, and every unprintable one as a Python escape such as `\\x1b`."""
    text = str(value)
    if len(text) > limit:
        text = f"{text[:limit]}..."
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
