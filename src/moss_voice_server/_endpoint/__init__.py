"""Token endpoint: parse the request, decide what is allowed, build the response; independent of any framework."""
