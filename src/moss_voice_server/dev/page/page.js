// Page: asks the token endpoint, joins, and shows what comes of it.

import { VoiceRoom, load } from "./room.js";
import { claims, facts, grants, left } from "./token.js";

const at = (id) => document.getElementById(id);
let config, livekit, voice, token;

const tell = {
  log(text, bad = false) {
    const line = document.createElement("li");
    const time = document.createElement("time");
    time.textContent = new Date().toLocaleTimeString();
    line.append(time, text);
    line.classList.toggle("bad", bad);
    at("log").append(line);
    at("log").scrollTop = at("log").scrollHeight;
  },
  problem(what, remedy = "") {
    at("problem-what").textContent = what;
    at("problem-remedy").textContent = remedy;
    at("problem").hidden = false;
    tell.log(`${what} ${remedy}`, true);
  },
  state(name, text) {
    at("state").dataset.state = name;
    at("state").textContent = text;
  },
  agent(identity, state) {
    at("agent-identity").textContent = identity || "–";
    if (at("agent-state").textContent !== state) {
      at("agent-state").textContent = state;
      tell.log(`agent: ${state}`);
    }
  },
  quality(quality) {
    at("my-quality").textContent = `${quality} connection`;
  },
  playback(possible) {
    at("hear").hidden = possible;
  },
  message(from, text) {
    const line = document.createElement("li");
    const who = document.createElement("b");
    who.textContent = `${from}: `;
    line.append(who, text);
    at("messages").append(line);
    at("messages").scrollTop = at("messages").scrollHeight;
  },
  left(reason) {
    tell.log(`left the room ${reason}`.trim());
    if (reason === "DUPLICATE_IDENTITY") tell.problem("Somebody joined with the same identity, and took your place.", "Give every session an identity of its own.");
    if (reason === "JOIN_FAILURE" || reason === "SERVER_SHUTDOWN") tell.problem("The LiveKit server ended the session.", "Look at the terminal that runs this page, then join again.");
    voice = undefined;
    tell.state("idle", "Not in a room");
    tell.agent("", "not here");
    at("my-quality").textContent = "no connection";
    usable(false);
  },
};

function usable(joined) {
  at("join-button").disabled = joined || !livekit;
  for (const id of ["leave-button", "mute-button", "message", "message-button"]) at(id).disabled = !joined;
  at("mute-button").setAttribute("aria-pressed", "false");
  if (!joined) at("hear").hidden = true;
}

async function ask() {
  const wish = {};
  if (at("name").value.trim()) wish.participant_name = at("name").value.trim();
  if (at("agent").value) wish.room_config = { agents: [{ agent_name: at("agent").value }] };
  at("request").textContent = `POST ${config.token_path}\ncontent-type: application/json\n\n${JSON.stringify(wish, null, 2)}`;
  let response, text;
  try {
    response = await fetch(config.token_path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(wish) });
    text = await response.text();
  } catch {
    throw new Problem("The token endpoint cannot be reached.", "Is the command still running in the terminal?");
  }
  const answer = parsed(text);
  at("answer").textContent = `${response.status} ${response.statusText}\n${shown(response.headers)}\n\n${answer ? JSON.stringify(answer, null, 2) : text}`;
  if (!response.ok || !answer) throw new Problem(`The token endpoint answered ${response.status}: ${answer?.message ?? "no JSON"}`, "The answer is shown below, under Token endpoint.");
  token = claims(answer.participant_token);
  showToken();
  tell.log(`token for ${token.sub} in ${token.video.room}`);
  return answer;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function shown(headers) {
  return ["content-type", "cache-control", "retry-after"].filter((name) => headers.has(name)).map((name) => `${name}: ${headers.get(name)}`).join("\n");
}

class Problem extends Error {
  constructor(what, remedy) {
    super(what);
    this.remedy = remedy;
  }
}

function showToken() {
  at("token-none").hidden = true;
  at("token-panel").hidden = false;
  at("token-claims").replaceChildren(...facts(token).flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  at("token-grants").replaceChildren(...grants(token).map(([yes, what, note]) => {
    const item = element("li", `${yes ? "" : "Not: "}${what}${note ? ` (${note})` : ""}`);
    item.classList.toggle("no", !yes);
    return item;
  }));
  showTimeLeft();
}

function showTimeLeft() {
  if (!token) return;
  const { share, text } = left(token, Date.now() / 1000);
  at("token-life").value = share;
  at("token-left").textContent = text;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

async function join() {
  at("problem").hidden = true;
  at("join-button").disabled = true;
  tell.state("joining", "Joining …");
  try {
    const { server_url: url, participant_token: jwt } = await ask();
    voice = new VoiceRoom(livekit, tell);
    await voice.join(url, jwt, at("microphone").value);
    tell.state("joined", "In the room");
    at("my-identity").textContent = token.sub;
    usable(true);
    await listMicrophones();
  } catch (error) {
    const known = error instanceof Problem;
    tell.problem(known ? error.message : `Joining failed: ${error.message}`, known ? error.remedy : "`moss-voice-server doctor` in a terminal says which link of the chain it is.");
    voice?.leave();
    voice = undefined;
    tell.state("failed", "Not in a room");
    usable(false);
  }
}

function showLevels() {
  const { mine, agent } = voice ? voice.levels() : { mine: 0, agent: 0 };
  for (const [id, level] of [["my-level", mine], ["agent-level", agent]]) {
    const percent = Math.min(100, Math.round(level * 100));
    at(id).setAttribute("aria-valuenow", percent);
    at(id).firstElementChild.style.transform = `scaleX(${percent / 100})`;
  }
}

async function listMicrophones() {
  const devices = await navigator.mediaDevices?.enumerateDevices().catch(() => []) ?? [];
  const chosen = at("microphone").value;
  const found = devices.filter((each) => each.kind === "audioinput" && each.deviceId && each.deviceId !== "default");
  at("microphone").replaceChildren(new Option("The system's choice", ""), ...found.map((each, index) => new Option(each.label || `Microphone ${index + 1}`, each.deviceId)));
  at("microphone").value = chosen;
}

at("join-form").addEventListener("submit", (event) => { event.preventDefault(); join(); });
at("leave-button").addEventListener("click", () => voice?.leave());
at("hear-button").addEventListener("click", () => voice?.hear());
at("token-button").addEventListener("click", () => ask().catch((error) => tell.problem(error.message, error.remedy)));
at("mute-button").addEventListener("click", async () => {
  const muted = at("mute-button").getAttribute("aria-pressed") !== "true";
  await voice?.mute(muted);
  at("mute-button").setAttribute("aria-pressed", String(muted));
});
at("message-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = at("message").value.trim();
  if (!text || !voice) return;
  at("message").value = "";
  await voice.send(text);
  tell.message("You", text);
});
at("copy-button").addEventListener("click", async () => {
  const text = [...at("log").children].map((line) => `${line.firstChild.textContent} ${line.lastChild.textContent}`).join("\n");
  await navigator.clipboard.writeText(text).then(() => { at("copied").textContent = "Copied."; }, () => { at("copied").textContent = "The browser does not allow it: select the lines instead."; });
});
setInterval(showTimeLeft, 1000);
setInterval(showLevels, 100);

usable(false);
config = await fetch("config.json").then((response) => response.json());
at("agent").replaceChildren(...config.agents.map((each) => new Option(each.label, each.name)));
at("chain").textContent = config.chain;
await listMicrophones();
if (!config.livekit) {
  tell.problem("No LiveKit server runs here, so nobody can join. Tokens can be made and looked at.", config.livekit_remedy);
}
try {
  livekit = await load(config.client);
  tell.log(`LiveKit's client ${livekit.version} loaded`);
} catch {
  tell.problem("LiveKit's client could not be loaded, so nobody can join. Tokens can be made and looked at.", config.client_remedy);
}
if (!config.livekit) livekit = undefined;
usable(false);
document.body.dataset.ready = "true";
