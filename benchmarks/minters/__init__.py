"""Minters in Python: one module each, with `minter(request)`, which returns a function that mints a number of tokens.

The loop is inside that function, so that no call is measured that an application would not make. All values of a token are
built inside the loop, as they are in a server that answers requests.
"""
