// Token: what a join token says, in words. Nothing is verified here: the server does that.

export function claims(token) {
  const part = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
  const bytes = Uint8Array.from(atob(part), (char) => char.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

export function facts(token) {
  const video = token.video ?? {};
  const agents = token.roomConfig?.agents ?? [];
  const rows = [
    ["Who", token.sub],
    ["Shown as", token.name],
    ["Room", video.room],
    ["Agents", agents.map((each) => each.agentName || "any without a name").join(", ") || "LiveKit's own rules: workers without a name"],
    ["Metadata", token.metadata],
    ["Attributes", Object.entries(token.attributes ?? {}).map(([key, value]) => `${key} = ${value}`).join(", ")],
    ["API key", token.iss],
    ["Valid from", clock(token.nbf)],
    ["Valid until", clock(token.exp)],
  ];
  return rows.filter(([, value]) => value);
}

// LiveKit's own defaults: absent means yes for the first three, and data follows publishing.
export function grants(token) {
  const video = token.video ?? {};
  const publish = video.canPublish ?? true;
  const sources = video.canPublishSources?.length ? video.canPublishSources.join(", ") : "camera, microphone, screen";
  return [
    [video.roomJoin ?? false, "Join the room", "without this the token opens nothing"],
    [publish, "Send audio and video", sources],
    [video.canSubscribe ?? true, "Hear and see the others", "needed to hear the agent"],
    [video.canPublishData ?? publish, "Send messages", "data and text"],
    [video.canUpdateOwnMetadata ?? false, "Change the own name and metadata", "after joining"],
    [video.hidden ?? false, "Be invisible to the others", "off for people"],
    [video.canManageAgentSession ?? false, "Control the agent's session", ""],
  ];
}

export function left(token, now) {
  const seconds = Math.max(0, Math.round(token.exp - now));
  const share = seconds / Math.max(1, token.exp - token.nbf);
  const minutes = Math.floor(seconds / 60);
  const text = seconds === 0
    ? "Expired: it lets nobody in any more. Who is in the room stays in."
    : `${minutes} min ${String(seconds % 60).padStart(2, "0")} s to join; who is in the room stays in`;
  return { share, text };
}

function clock(seconds) {
  return seconds ? new Date(seconds * 1000).toLocaleTimeString() : "";
}
