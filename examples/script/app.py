"""Script: prints the LiveKit URL and one voice token: `python app.py user-42 support-room`."""

import argparse

from moss_voice_server import MossVoiceServerSync, ParticipantInfo

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("identity")
parser.add_argument("room")
arguments = parser.parse_args()

with MossVoiceServerSync.from_env() as server:
    participant = ParticipantInfo(arguments.identity)
    token = server.create_participant_token(participant, arguments.room, server.get_agent_name())
    print(server.get_server_url(), token, sep="\n")
