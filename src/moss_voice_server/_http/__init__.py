"""HTTP: sends requests and retries them; the only package that imports the HTTP client."""
