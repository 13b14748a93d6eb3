"""OpenAPI: the FastAPI application does what it says of itself; Schemathesis sends the requests."""

from typing import Annotated, Any

import pytest
from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from hypothesis import given, settings

from moss_voice_server import ParticipantInfo
from moss_voice_server.endpoint import Admission, Denied, TokenRequest
from tests.endpoint.fastapi_calls import app_with

TOKEN = "the-right-one"
# 422 also answers what has the right shape and cannot be: control characters, an agent requested twice.
CHECKS = {"positive_data_acceptance": {"expected-statuses": ["201", "403", "422"]}}


def authorize(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())], token_request: TokenRequest
) -> Admission:
    """Allows everything with the right token."""
    if credentials.credentials != TOKEN:
        raise Denied(401)
    return Admission(
        ParticipantInfo("ada"),
        allowed_rooms=lambda room: True,
        allowed_agents=[agent.agent_name for agent in token_request.agents],
        client_may_set=("name", "metadata", "attributes"),
    )


@pytest.mark.once
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_as_described(mode: str) -> None:
    """Each request that the description allows, or forbids, is answered as it says; without a token, with 401."""
    # Not when the file is collected, which every process of a parallel run does.
    import schemathesis

    config = schemathesis.config.SchemathesisConfig.from_dict({"checks": CHECKS})
    schema = schemathesis.openapi.from_asgi("/openapi.json", app_with(authorize), config=config)
    operation = schema["/voice/token"]["POST"]

    @settings(max_examples=20, deadline=None)
    @given(operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    def holds(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"})

    holds()
