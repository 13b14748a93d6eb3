"""Find out why the agent does not join: check each link from the environment to the agent in the room.

for check in examine(Options(os.environ)):
    print(check.name, check.status, check.detail, check.remedy)
"""

from __future__ import annotations

from .._livekit_credentials import LiveKitCredentials
from .check import Check, Status
from .options import Options
from .runner import examine, names

__all__ = ["Check", "LiveKitCredentials", "Options", "Status", "examine", "names"]
