"""OpenAPI: what the FastAPI application says of itself is what it does; Schemathesis makes the requests."""

from typing import Annotated, Any

import schemathesis
from fastapi import Depends, FastAPI
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from hypothesis import settings

from moss_voice_server import MossVoiceServer, ParticipantInfo
from moss_voice_server.endpoint import Admission, Denied, TokenRequest
from moss_voice_server.fastapi import token_router
from tests.support.tokens import API_KEY, API_SECRET, URL


def authorize(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())], token_request: TokenRequest
) -> Admission:
    """Opens everything to whoever brings the right token."""
    if credentials.credentials != TOKEN:
        raise Denied(401)
    return Admission(
        ParticipantInfo("ada"),
        allowed_rooms=lambda room: True,
        allowed_agents=[agent.agent_name for agent in token_request.agents],
        client_may_set=("name", "metadata", "attributes"),
    )


TOKEN = "the-right-one"
app = FastAPI()
app.include_router(token_router(MossVoiceServer.from_livekit(URL, API_KEY, API_SECRET), authorize=authorize))
# 422 is an answer to what has the right shape and is impossible all the same: control characters, an agent asked for twice.
CHECKS = {"positive_data_acceptance": {"expected-statuses": ["201", "403", "422"]}}
schema = schemathesis.openapi.from_asgi(
    "/openapi.json", app, config=schemathesis.config.SchemathesisConfig.from_dict({"checks": CHECKS})
)


@schema.parametrize()
@settings(max_examples=25, deadline=None)
def test_as_described(case: Any) -> None:
    """Each request that the description allows, or forbids, is answered as it says; without a token, with 401."""
    case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"})
