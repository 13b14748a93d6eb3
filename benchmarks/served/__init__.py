"""Served: the token endpoints that the load run compares, one module each, with its application as `app`.

All do the same for their users: who asks is looked up by the bearer token of the request's header, the body is read as JSON, the
room is new, and the answer is 201 with `server_url` and `participant_token`. `ours_*` are this package's adapters;
`livekit_*` are written by hand with `livekit-api`, as LiveKit's page "Endpoint token generation" and the framework's own
documentation teach it.
"""
