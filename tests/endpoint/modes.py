"""Modes: the two kinds of `authorize` that each application has, as its paths name them."""

MODES = ("sync", "async")
