"""Stand-in for your login: prints an access token for Ada that is valid for an hour."""

import os
import time

import jwt

print(jwt.encode({"sub": "ada", "exp": int(time.time()) + 3600}, os.environ["APP_KEY"], "HS256"))
