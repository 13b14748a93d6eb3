"""LiveKit's server API and its webhooks, as rules without I/O: calls, responses, and what follows from them."""
