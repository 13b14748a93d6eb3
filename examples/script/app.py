"""Script: one voice token, printed below the LiveKit address: `python app.py user-42 support-room`."""

import sys

from moss_voice_server import MossVoiceServerSync, ParticipantInfo

identity, room = sys.argv[1:]
with MossVoiceServerSync.from_env() as server:
    token = server.create_participant_token(ParticipantInfo(identity), room)
    print(server.get_server_url(), token, sep="\n")
