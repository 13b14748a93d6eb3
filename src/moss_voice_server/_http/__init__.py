"""HTTP: the only package that imports the HTTP client; it sends requests and makes no decisions."""
