// Why a call failed or ended, and what to do.

import { Refused } from "./endpoint.js";

const ENDINGS = {
  DUPLICATE_IDENTITY: ["Another participant joined with the same identity and replaced you.", "Give every session its own identity."],
  PARTICIPANT_REMOVED: ["You were removed from the room.", "Join again for a new room."],
  ROOM_DELETED: ["The room was deleted.", "Join again for a new room."],
  SERVER_SHUTDOWN: ["The LiveKit server was stopped.", "Start it again, or check that `moss-voice-server dev` still runs in its terminal."],
};

export function ofEnding(reason, config) {
  return ENDINGS[reason] ?? ["The connection to the LiveKit server is lost.", `Check that it runs, then join again. ${doctor(config)}`];
}

export function ofFailure(error, livekit, config) {
  if (error instanceof Refused) return [error.message, error.remedy, error.checks];
  const { NotAllowed, ServerUnreachable } = livekit?.ConnectionErrorReason ?? {};
  if (livekit && error.reason === ServerUnreachable) return ["The LiveKit server cannot be reached.", `Check that it runs. ${doctor(config)}`];
  if (livekit && error.reason === NotAllowed) return [`The LiveKit server refuses the token: ${error.message}`, doctor(config)];
  return [`Joining failed: ${error.message}`, doctor(config)];
}

function doctor(config) {
  return `Run \`${config.doctor}\` in a terminal, with the variables that \`moss-voice-server dev\` printed.`;
}
