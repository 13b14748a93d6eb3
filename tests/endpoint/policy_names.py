"""Names that the applications and the tests share; importing `policy` itself would create servers in the test process."""

MODES = ("sync", "async")
"""The two kinds of `authorize` of each application, as in its paths."""

APP = "https://app.example"
"""The origin that the route `cors` allows."""

LEAK = "text-of-the-application"
"""In the text of everything that the applications raise."""
