"""AWS Lambda: behind an API Gateway HTTP API with a JWT authorizer."""

import base64
import io

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.endpoint import Admission
from moss_voice_server.identity import identity_from_sub
from moss_voice_server.wsgi import token_app


def authorize(environ, token_request):
    return Admission(ParticipantInfo(identity_from_sub(environ["claims"]["sub"])))


endpoint = token_app(MossVoiceServerSync.from_env(), authorize=authorize)  # once per instance, not per call


def handler(event, context):
    body = (base64.b64decode if event.get("isBase64Encoded") else str.encode)(event.get("body") or "")
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in event["headers"].items()}
    environ |= {"CONTENT_TYPE": event["headers"].get("content-type", ""), "CONTENT_LENGTH": str(len(body))}
    environ |= {"REQUEST_METHOD": event["requestContext"]["http"]["method"], "wsgi.input": io.BytesIO(body)}
    environ |= {"claims": event["requestContext"]["authorizer"]["jwt"]["claims"]}
    answer = {}
    chunks = endpoint(environ, lambda status, headers: answer.update(statusCode=int(status[:3]), headers=dict(headers)))
    return {**answer, "body": b"".join(chunks).decode()}
