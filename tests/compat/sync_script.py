"""A script without asyncio, written against version 0.1.0: nothing in it knows of anything newer."""

import os

from moss_voice_server import MossVoiceServerSync, ParticipantInfo

server = MossVoiceServerSync.create(
    project_id=os.environ["MOSS_PROJECT_ID"],
    project_key=os.environ["MOSS_PROJECT_KEY"],
    voice_agent_id=os.environ["MOSS_VOICE_AGENT_ID"],
)
caller = ParticipantInfo(identity="caller-7", name="Ada")
print(server.get_server_url())
print(server.get_agent_name())
print(server.create_participant_token(caller, room_name="desk-3"))
