"""Stands for your login: prints an access token of Ada's, good for an hour."""

import os
import time

import jwt

print(jwt.encode({"sub": "ada", "exp": int(time.time()) + 3600}, os.environ["APP_KEY"], "HS256"))
