"""The application that `TEST_APPLICATION` names, as every server program can load it."""

from __future__ import annotations

import os

from tests.servers.apps import application

app = application(os.environ["TEST_APPLICATION"])
