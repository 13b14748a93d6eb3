// Token: what a join token says, in words. Nothing is verified here: the server does that.

export function claims(token) {
  const part = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
  const bytes = Uint8Array.from(atob(part), (char) => char.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

export function facts(token) {
  const agents = token.roomConfig?.agents ?? [];
  const rows = [
    ["Who", token.sub],
    ["Shown as", token.name],
    ["Room", token.video?.room],
    ["Agents", agents.map((each) => each.agentName || "those without a name").join(", ") || "LiveKit's own rules: workers without a name"],
    ["Metadata", token.metadata],
    ["Attributes", Object.entries(token.attributes ?? {}).map(([key, value]) => `${key} = ${value}`).join(", ")],
    ["API key", token.iss],
    ["Valid from", clock(token.nbf)],
    ["Valid until", clock(token.exp)],
  ];
  return rows.filter(([, value]) => value);
}

// LiveKit's own defaults: absent means yes for publishing and subscribing, and data follows publishing.
export function grants(token) {
  const video = token.video ?? {};
  const publish = video.canPublish ?? true;
  const sources = video.canPublishSources?.length ? `only ${video.canPublishSources.join(", ")}` : "microphone, camera, screen";
  return [
    [video.roomJoin ?? false, "join this room", ", and no other"],
    [publish, "send sound and video", `: ${sources}`],
    [video.canSubscribe ?? true, "hear and see the others", ", and the agent"],
    [video.canPublishData ?? publish, "send messages", ": text and data"],
    [video.canUpdateOwnMetadata ?? false, "change your own name and attributes", ", once you are in"],
    [video.canManageAgentSession ?? false, "control the agent's session", ""],
    [video.hidden ?? false, "be in the room unseen", ""],
  ];
}

export function left(token, now) {
  const seconds = Math.max(0, Math.round(token.exp - now));
  const share = seconds / Math.max(1, token.exp - token.nbf);
  const minutes = Math.floor(seconds / 60);
  const text = seconds === 0
    ? "Expired: it lets nobody in any more. Who is in the room stays in."
    : `${minutes ? `${minutes} min ` : ""}${seconds % 60} s. Who is in the room stays in.`;
  return { share, text, state: seconds === 0 ? "over" : seconds < 60 ? "short" : "long" };
}

function clock(seconds) {
  return seconds ? new Date(seconds * 1000).toLocaleTimeString() : "";
}
