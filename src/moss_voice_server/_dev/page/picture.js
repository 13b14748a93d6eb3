// The picture "How it works": four steps, each with its server and its state.

const at = (id) => document.getElementById(id);
const STEPS = ["endpoint", "moss", "livekit", "agent"];
const MODES = {
  local: "local call",
  moss: "your real voice agent",
  endpoint: "your own token endpoint",
};

export function showServers(config) {
  at("subtitle").textContent = MODES[config.mode];
  at("url-endpoint").textContent = short(new URL(config.token_url, location.href).href);
  at("url-moss").textContent = config.mode === "endpoint" ? "as your endpoint is configured" : short(config.moss);
  at("url-livekit").textContent = config.mode === "endpoint" ? "as your endpoint says" : config.livekit || "not installed";
  at("name-agent").textContent = config.mode === "endpoint" ? "as your token says" : config.agent || "unnamed";
}

function short(url) {
  return url.replace(/^https?:\/\//, "");
}

export function showLiveKit(url, agents) {
  at("url-livekit").textContent = url;
  at("name-agent").textContent = agents.map((name) => name || "unnamed").join(", ") || "unnamed (automatic dispatch)";
}

// `reached` steps are done; the next one is `state`: "active", "failed", or nothing.
export function showProgress(reached, state = "") {
  STEPS.forEach((name, index) => {
    at(`step-${name}`).dataset.state = index < reached ? "done" : index === reached ? state : "";
  });
}
