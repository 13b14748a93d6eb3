// What a join token says, in words. Nothing is verified here: LiveKit does that.

export function clock(date) {
  return date.toTimeString().slice(0, 8);
}

export function claims(token) {
  const part = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
  const bytes = Uint8Array.from(atob(part), (char) => char.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

export function agents(token) {
  return (token.roomConfig?.agents ?? []).map((each) => each.agentName ?? "");
}

export function facts(token) {
  const rows = [
    ["Identity", token.sub],
    ["Name", token.name],
    ["Room", token.video?.room],
    ["Agents", agents(token).map((name) => name || "unnamed").join(", ") || "automatic dispatch (unnamed agents)"],
    ["Metadata", token.metadata],
    ["Attributes", Object.entries(token.attributes ?? {}).map(([key, value]) => `${key} = ${value}`).join(", ")],
    ["API key", token.iss],
    ["Valid from", time(token.nbf)],
    ["Valid until", time(token.exp)],
  ];
  return rows.filter(([, value]) => value);
}

// LiveKit's defaults: absent means yes for publishing and subscribing, and data follows publishing.
export function grants(token) {
  const video = token.video ?? {};
  const publish = video.canPublish ?? true;
  const sources = video.canPublishSources?.length ? `only ${video.canPublishSources.join(", ")}` : "microphone, camera, screen";
  const rows = [
    [video.roomJoin ?? false, "join this room", ", and no other"],
    [publish, "send audio and video", `: ${sources}`],
    [video.canSubscribe ?? true, "hear and see the others", ", and the agent"],
    [video.canPublishData ?? publish, "send messages", ": text and data"],
    [video.canUpdateOwnMetadata ?? false, "change your own name and attributes", " in the room"],
    [video.canManageAgentSession ?? false, "control the agent's session", ""],
  ];
  return video.hidden ? [...rows, [true, "join invisibly", ""]] : rows;
}

export function left(token, now) {
  const seconds = Math.max(0, Math.round(token.exp - now));
  const share = seconds / Math.max(1, token.exp - token.nbf);
  const minutes = Math.floor(seconds / 60);
  const text = seconds === 0
    ? "Expired. Participants who are in the room stay connected."
    : `${minutes ? `${minutes} min ` : ""}${seconds % 60} s. Participants who are in the room stay connected.`;
  return { share, text, state: seconds === 0 ? "over" : seconds < 60 ? "short" : "long" };
}

function time(seconds) {
  return seconds ? clock(new Date(seconds * 1000)) : "";
}
