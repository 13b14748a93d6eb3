"""Names that the applications and the tests share; importing `policy` itself would make a server of the test process."""

MODES = ("sync", "async")
"""The two kinds of `authorize` that each application has, as its paths name them."""

APP = "https://app.example"
"""The origin whose pages may ask at the route `cors`."""

LEAK = "what-nobody-outside-may-read"
"""In the text of everything that the applications raise."""
