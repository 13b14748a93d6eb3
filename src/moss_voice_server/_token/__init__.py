"""Token: from a participant, a room and grants to a signed join token."""
