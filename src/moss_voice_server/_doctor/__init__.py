"""Doctor: why the agent does not join: each link of the chain from the environment to the room, tried and told.

for check in examine(Plan(Secret(os.environ))):
    print(check.name, check.status, check.detail, check.remedy)
"""

from __future__ import annotations

from .chain import examine, names
from .check import Check, Status
from .plan import Given, Plan

__all__ = ["Check", "Given", "Plan", "Status", "examine", "names"]
