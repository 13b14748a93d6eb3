// The page: what the developer does, the token endpoint, the room, and what is shown.

import * as absence from "./absence.js";
import * as endpoint from "./endpoint.js";
import { LOUD, drawSilence } from "./meter.js";
import { showOptions } from "./options.js";
import * as picture from "./picture.js";
import { VoiceRoom, load } from "./room.js";
import { agents, claims } from "./token.js";
import { at, copy, hideProblem, keepFocus, listMicrophones, log, showAbsence, showMessage, showNotice, showProblem, showTimeLeft, showToken } from "./view.js";
import * as words from "./words.js";

let config, livekit, voice, jwt, token, isMuted, isHeard, waiting;

const isInRoom = () => ["joined", "reconnecting"].includes(at("state").dataset.state);

// What the page shows of the call.

function setState(name, text) {
  const isNew = at("state").dataset.state !== name;
  const focused = document.activeElement;
  at("state").dataset.state = name;
  if (at("state").textContent !== text) at("state").textContent = text;
  const [inside, joining] = [isInRoom(), name === "joining"];
  at("options").hidden = inside;
  at("join-button").hidden = inside || joining;
  at("join-button").disabled = config.can_join && !livekit;
  at("leave-button").hidden = !inside && !joining;
  at("leave-button").textContent = joining ? "Cancel" : "Leave";
  at("mute-button").hidden = !inside;
  at("token-ask").hidden = inside || joining || (token && !config.can_join); // the panel then shows the token of this room
  at("token-title").textContent = !inside && !joining && token && config.can_join ? "Last token" : "Token";
  if (inside) at("messages-card").hidden = false;
  for (const id of ["message", "message-button"]) at(id).disabled = name !== "joined";
  if (!inside) {
    at("hear-button").hidden = true;
    at("my-note").textContent = "not connected";
    at("my-heard").textContent = "";
    showAgent("", "");
  }
  if (isNew) keepFocus(focused);
}

function showAgent(name, agentState) {
  const wasHere = at("agent-note").textContent !== "not joined";
  at("agent-name").textContent = name || "Agent";
  at("agent-voice").dataset.state = agentState;
  if (agentState && agentState !== at("agent-note").textContent) log(`${name} is ${agentState}`);
  at("agent-note").textContent = agentState || "not joined";
  if (!agentState) at("agent-heard").textContent = "";
  // Screen readers announce that the agent joins or leaves, and not each change between listening and speaking.
  if (Boolean(agentState) !== wasHere && at("state").dataset.state === "joined") showJoined();
}

function showJoined() {
  const agent = voice.agentState() ? at("agent-name").textContent : "";
  if (agent) {
    clearTimeout(waiting);
    at("absence").hidden = true;
    at("agent-heard").textContent ||= "No sound from the agent yet.";
  }
  picture.showProgress(agent ? 4 : 3, "active");
  setState("joined", agent ? `In the room, with ${agent}` : "In the room");
}

function showMe() {
  at("my-note").textContent = [isMuted && "muted", voice.quality ? `${voice.quality} connection` : "connected"].filter(Boolean).join(", ");
  at("my-heard").textContent = isMuted ? "" : isHeard ? "Your voice is sent." : "No sound yet. Say something.";
}

function showLevels() {
  if (!voice || at("state").dataset.state !== "joined") return;
  const { mine, agent } = voice.levels();
  if (mine > LOUD && !isHeard && !isMuted) {
    isHeard = true;
    showMe();
  }
  if (agent > LOUD) at("agent-heard").textContent = "The agent's voice arrives.";
}

// What the developer does.

async function requestToken() {
  hideProblem();
  picture.showProgress(0, "active");
  const choice = { name: at("name").value.trim(), agent: at("agent").value, authorization: at("authorization").value.trim() };
  const request = endpoint.tokenRequest(config, choice);
  at("request").textContent = endpoint.describe(request);
  try {
    const { url, token: text, shown } = await endpoint.ask(request, config.mode === "endpoint");
    at("response").textContent = shown;
    jwt = text;
    token = claims(jwt);
    showToken(token);
    picture.showLiveKit(url, agents(token));
    picture.showProgress(2);
    log(`token for ${token.sub} in ${token.video.room}`);
    return url;
  } catch (error) {
    at("response").textContent = error.shown ?? "";
    picture.showProgress(0, "failed");
    throw error;
  }
}

async function join() {
  const canvases = { mine: at("my-level"), agent: at("agent-level") };
  const mine = voice = new VoiceRoom(livekit, listener(() => voice === mine), canvases);
  isHeard = isMuted = false;
  setState("joining", "Joining …");
  let steps = 0;
  try {
    const url = await requestToken();
    steps = 2;
    if (voice !== mine) return;
    // This page may connect to the LiveKit server that it was loaded for, and to no other (Content-Security-Policy).
    if (config.mode !== "endpoint" && url !== config.livekit) throw new endpoint.Refused("This page is older than its LiveKit server: moss-voice-server dev was restarted.", "Reload this page, then join again.");
    picture.showProgress(2, "active");
    await mine.join(url, jwt);
    if (voice !== mine) return;
    at("my-name").textContent = token.name && token.name !== "Guest" ? `You, ${token.name}` : "You";
    awaitAgent(false);
    await speak(true);
    await listMicrophones();
  } catch (error) {
    if (voice !== mine) return; // cancelled
    voice = undefined;
    mine.leave();
    showProblem(...words.ofFailure(error, livekit, config));
    setState("failed", "Not in a room");
    if (steps) picture.showProgress(steps, "failed");
  }
}

function awaitAgent(hasRejoined) {
  clearTimeout(waiting);
  const mine = voice;
  waiting = setTimeout(() => { if (voice === mine && !mine.agentState()) showAgentIsAbsent(hasRejoined); }, 1000 * absence.PATIENCE);
  showJoined();
}

function showAgentIsAbsent(hasRejoined) {
  picture.showProgress(3, "failed");
  showAbsence(absence.reasons(agents(token), config, hasRejoined), absence.command(agents(token), config));
}

async function leave() {
  const mine = voice;
  end();
  log("left the room");
  setState("idle", "Not in a room");
  await mine?.leave();
}

function end() {
  voice = undefined;
  clearTimeout(waiting);
  at("absence").hidden = true;
  picture.showProgress(0);
}

async function speak(on) {
  try {
    await voice.speak(on, at("microphone").value);
    showMuted(!on);
    hideProblem();
  } catch (error) {
    showMuted(true);
    showProblem("The microphone cannot be used, so the agent cannot hear you.", error.name === "NotFoundError"
      ? "Connect one, then press Unmute."
      : "Allow it for this page in the browser's address bar, then press Unmute.");
  }
}

function showMuted(muted) {
  isMuted = muted;
  at("mute-button").textContent = muted ? "Unmute" : "Mute";
  at("mute-button").classList.toggle("muted", muted);
  showMe();
}

// What the room reports, as long as it is the current one.
function listener(isCurrent) {
  const events = {
    log,
    agent: showAgent,
    message: showMessage,
    playback: (isPossible) => { at("hear-button").hidden = isPossible; },
    quality: (quality) => { voice.quality = quality; showMe(); },
    connection: (name) => {
      log(`connection: ${name}`);
      if (name.toLowerCase().includes("reconnecting")) {
        clearTimeout(waiting);
        setState("reconnecting", "Connection lost, reconnecting …");
        at("my-note").textContent = "no connection";
      } else if (name === "connected" && at("state").dataset.state === "reconnecting") {
        awaitAgent(true); // a restarted server opens a new room, and dispatches the agent only if its worker is registered by then
        showMe();
      }
    },
    left: (reason) => {
      if (at("state").dataset.state === "joining") return; // `join` shows it
      log(`left the room: ${reason}`, true);
      voice.leave();
      end();
      showProblem(...words.ofEnding(reason, config));
      setState("failed", "Not in a room");
      picture.showProgress(2, "failed");
    },
  };
  return Object.fromEntries(Object.entries(events).map(([name, tell]) => [name, (...news) => { if (isCurrent()) tell(...news); }]));
}

const createToken = () => requestToken().then(() => setState("idle", at("state").textContent), (error) => showProblem(...words.ofFailure(error, livekit, config)));

at("join-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!config.can_join) createToken();
  else if (livekit && !voice) join();
});
at("leave-button").addEventListener("click", leave);
at("hear-button").addEventListener("click", () => voice?.hear());
at("mute-button").addEventListener("click", () => speak(isMuted));
at("microphone").addEventListener("change", () => voice?.useMicrophone(at("microphone").value).catch(() => showProblem("This microphone cannot be used.", "Choose another one.")));
at("token-button").addEventListener("click", createToken);
at("message-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = at("message").value.trim();
  if (!text || !voice) return;
  at("message").value = "";
  showMessage("You", text);
  await voice.send(text).catch(() => showProblem("The message was not sent.", "Join again if the connection is lost."));
});
at("log-copy-button").addEventListener("click", () => copy("log-copied", [...at("log").children].map((line) => `${line.firstChild.textContent} ${line.lastChild.textContent}`).join("\n")));
at("token-copy-button").addEventListener("click", () => copy("token-copied", jwt));
navigator.mediaDevices?.addEventListener("devicechange", listMicrophones);

// The start.

async function configure() {
  config = await fetch("config.json").then((response) => response.json());
}

// While `dev` still fetches the client, the page loads it from here; if that fails, the new configuration names the CDN.
async function loadClient() {
  const { client } = config;
  try {
    return await load(client);
  } catch (error) {
    await configure();
    if (config.client.src === client.src) throw error;
    return await load(config.client);
  }
}

await configure();
picture.showServers(config);
showOptions(config);
at("token-button").disabled = false;
for (const id of ["my-level", "agent-level"]) drawSilence(at(id));
setInterval(() => token && showTimeLeft(token), 1000);
setInterval(showLevels, 50);
await listMicrophones();
if (!config.can_join) showNotice("There is no LiveKit server, so you cannot join a call. You can still create and read tokens.", config.livekit_remedy);
try {
  const client = await loadClient();
  log(`LiveKit's client ${client.version} is loaded`);
  if (config.can_join) livekit = client;
} catch {
  if (config.can_join) showNotice("LiveKit's client could not be loaded, so you cannot join a call. You can still create and read tokens.", "Connect this machine to the internet once, or install Node.js, whose `npm` fetches the client. Then start `moss-voice-server dev` again.");
  config.can_join = false;
  showOptions(config);
}
setState("idle", config.can_join ? "Not in a room" : "Tokens only");
document.body.dataset.ready = "true";
