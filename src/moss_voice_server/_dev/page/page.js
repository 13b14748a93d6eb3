// Page: brings together what the user does, the token endpoint, the room, and what is to be seen.

import * as endpoint from "./endpoint.js";
import { VoiceRoom, load } from "./room.js";
import { claims, facts, grants, left } from "./token.js";

const at = (id) => document.getElementById(id);
const DOCTOR = "In a terminal with the environment that `moss-voice-server dev` has printed, `moss-voice-server doctor` says which link of the chain it is.";
const ENDINGS = {
  DUPLICATE_IDENTITY: ["Somebody joined with the same identity and took your place.", "Give every session an identity of its own."],
  PARTICIPANT_REMOVED: ["You were removed from the room.", "Join again for a new one."],
  ROOM_DELETED: ["The room was deleted.", "Join again for a new one."],
  SERVER_SHUTDOWN: ["The LiveKit server was stopped.", "Start it again, or see whether `moss-voice-server dev` still runs in its terminal."],
};
const LOST = ["The connection to the LiveKit server is lost.", `See whether it still runs, then join again. ${DOCTOR}`];
const TOKEN = /eyJ[\w-]+\.[\w-]*(\.[\w-]*)?/g;

let config, livekit, voice, jwt, token, muted;

// What is to be seen.

function log(text, isBad = false) {
  const line = element("li");
  // A LiveKit server of 1.13.5 and older repeats a token that it refuses.
  line.append(element("time", clock()), text.replace(TOKEN, "[token]"));
  line.classList.toggle("bad", isBad);
  append(at("log"), line);
}

function clock() {
  const now = new Date();
  return `${now.toTimeString().slice(0, 8)}.${String(now.getMilliseconds()).padStart(3, "0")}`;
}

function problem(what, remedy) {
  at("problem-what").textContent = what.replace(TOKEN, "[token]");
  at("problem-remedy").replaceChildren(...withCode(remedy));
  at("problem").hidden = false;
  log(`${what} ${remedy}`, true);
}

function notice(what, remedy) {
  const box = element("div");
  box.className = "notice";
  box.append(element("p", what), element("p", ...withCode(remedy)));
  at("notices").append(box);
  log(`${what} ${remedy}`, true);
}

function state(name, text) {
  const isNew = at("state").dataset.state !== name;
  const focused = document.activeElement;
  const inside = name === "joined" || name === "reconnecting";
  at("state").dataset.state = name;
  if (at("state").textContent !== text) at("state").textContent = text;
  at("wishes").hidden = inside;
  at("join-button").hidden = inside || name === "joining";
  at("join-button").disabled = !livekit;
  at("leave-button").hidden = !inside && name !== "joining";
  at("leave-button").textContent = name === "joining" ? "Cancel" : "Leave";
  at("mute-button").hidden = !inside;
  at("token-ask").hidden = inside || name === "joining"; // the token that is shown then is the one for this room
  for (const id of ["message", "message-button"]) at(id).disabled = name !== "joined";
  if (!inside) {
    at("hear-button").hidden = true;
    at("my-note").textContent = "not connected";
    showAgent("", "");
  }
  if (isNew) keepFocus(focused);
}

// A keyboard's user must not lose the place when what had the focus goes away, nor leave by a second Enter.
function keepFocus(focused) {
  const isUsable = focused.checkVisibility() && !focused.matches(":disabled, #leave-button");
  if (!isUsable) [at("join-button"), at("mute-button"), at("leave-button")].find((each) => each.checkVisibility()).focus();
}

function showAgent(name, agentState) {
  const wasHere = at("agent-note").textContent !== "not here";
  at("agent-name").textContent = name || "Agent";
  at("agent-voice").dataset.state = agentState;
  if (agentState && agentState !== at("agent-note").textContent) log(`${name} is ${agentState}`);
  at("agent-note").textContent = agentState || "not here";
  // Coming and going is told to a screen reader, and not each change between listening and speaking.
  if (Boolean(agentState) !== wasHere && at("state").dataset.state === "joined") showJoined();
}

function showJoined() {
  const agent = voice.agentState() ? `, with ${at("agent-name").textContent}` : "";
  state("joined", `In the room${agent}`);
}

function showMuted(isMuted) {
  muted = isMuted;
  at("mute-button").textContent = muted ? "Unmute" : "Mute";
  at("mute-button").classList.toggle("muted", muted);
  showMe();
}

function showMe() {
  at("my-note").textContent = [muted && "muted", voice.quality ? `${voice.quality} connection` : "connected"].filter(Boolean).join(", ");
}

function showMessage(from, text, segment) {
  const known = segment && [...at("messages").children].find((line) => line.dataset.segment === segment);
  const line = known || element("li");
  line.dataset.segment = segment ?? "";
  line.replaceChildren(element("b", from), " ", text);
  line.classList.toggle("mine", from === "You");
  if (!known) append(at("messages"), line);
}

function showToken() {
  at("token-panel").hidden = false;
  at("token-copy-button").disabled = false;
  at("token-copied").textContent = "";
  at("token-facts").replaceChildren(...facts(token).flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  const items = (yes) => grants(token).filter(([allowed]) => allowed === yes).map(([, what, note]) => element("li", what, element("span", note)));
  at("token-allows").replaceChildren(...items(true));
  at("token-forbids").replaceChildren(...items(false));
  showTimeLeft();
}

function showTimeLeft() {
  if (!token) return;
  const life = left(token, Date.now() / 1000);
  at("token-life").value = life.share;
  at("token-life").dataset.state = life.state;
  at("token-left").textContent = life.text;
}

function showLevels() {
  const { mine, agent } = voice && at("state").dataset.state === "joined" ? voice.levels() : { mine: 0, agent: 0 };
  for (const [id, level] of [["my-level", mine], ["agent-level", agent]]) {
    if (at(id).getAttribute("aria-valuenow") === String(level)) continue;
    at(id).setAttribute("aria-valuenow", level);
    at(id).firstElementChild.style.transform = `translateX(${level - 100}%)`;
  }
}

async function listMicrophones() {
  const devices = await navigator.mediaDevices?.enumerateDevices().catch(() => []) ?? [];
  const chosen = at("microphone").value;
  // Before the microphone is allowed, a browser tells neither ids nor names.
  const found = devices.filter((each) => each.kind === "audioinput" && each.deviceId && each.deviceId !== "default");
  at("microphone").replaceChildren(new Option("The system's choice", ""), ...found.map((each, index) => new Option(each.label || `Microphone ${index + 1}`, each.deviceId)));
  at("microphone").value = found.some((each) => each.deviceId === chosen) ? chosen : "";
}

function element(name, ...content) {
  const made = document.createElement(name);
  made.append(...content);
  return made;
}

function append(list, line) {
  list.append(line);
  list.scrollTop = list.scrollHeight;
}

function withCode(text) {
  return text.split("`").map((part, index) => index % 2 ? element("code", part) : part);
}

// What the user does.

async function ask() {
  at("problem").hidden = true;
  const body = endpoint.wish(at("name").value.trim(), at("agent").value);
  at("request").textContent = endpoint.request(config.token_path, body);
  try {
    const { answer, shown } = await endpoint.ask(config.token_path, body);
    at("answer").textContent = shown;
    jwt = answer.participant_token;
    token = claims(jwt);
    showToken();
    log(`token for ${token.sub} in ${token.video.room}`);
    return answer;
  } catch (error) {
    at("answer").textContent = error.shown ?? "";
    throw error;
  }
}

async function join() {
  const mine = voice = new VoiceRoom(livekit, listener(() => voice === mine));
  state("joining", "Joining …");
  try {
    const { server_url: url } = await ask();
    if (voice !== mine) return;
    // This page may speak to the server that it was loaded for, and to no other (Content-Security-Policy).
    if (url !== config.livekit) throw new endpoint.Refused("This page is older than its LiveKit server: moss-voice-server dev was started again.", "Reload this page, then join again.");
    await mine.join(url, jwt);
    if (voice !== mine) return;
    at("my-name").textContent = token.name && token.name !== "Guest" ? `You, ${token.name}` : "You";
    showJoined();
    await speak(true);
    await listMicrophones();
  } catch (error) {
    if (voice !== mine) return; // cancelled
    voice = undefined;
    mine.leave();
    problem(...inWords(error));
    state("failed", "Not in a room");
  }
}

function inWords(error) {
  if (error instanceof endpoint.Refused) return [error.message, error.remedy];
  const { NotAllowed, ServerUnreachable } = livekit.ConnectionErrorReason;
  if (error.reason === ServerUnreachable) return ["The LiveKit server cannot be reached.", `See whether it runs. ${DOCTOR}`];
  if (error.reason === NotAllowed) return [`The LiveKit server refuses the token: ${error.message}`, DOCTOR];
  return [`Joining failed: ${error.message}`, DOCTOR];
}

async function leave() {
  const mine = voice;
  voice = undefined;
  log("left the room");
  state("idle", "Not in a room");
  await mine?.leave();
}

async function speak(on) {
  try {
    await voice.speak(on, at("microphone").value);
    showMuted(!on);
    at("problem").hidden = true;
  } catch (error) {
    showMuted(true);
    problem("You cannot be heard: the microphone cannot be used.", error.name === "NotFoundError"
      ? "Plug one in, then press Unmute to try again."
      : "Allow it for this page in the browser's address bar, then press Unmute to try again.");
  }
}

async function copy(where, text) {
  at(where).textContent = await navigator.clipboard.writeText(text).then(() => "Copied.", () => "The browser does not allow it: select the text instead.");
}

// What the room tells, for as long as it is the one that we are in.
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
        state("reconnecting", "Connection lost, trying again …");
        at("my-note").textContent = "no connection";
      } else if (name === "connected" && at("state").dataset.state === "reconnecting") {
        showJoined();
        showMe();
      }
    },
    left: (reason) => {
      if (at("state").dataset.state === "joining") return; // `join` tells
      log(`left the room: ${reason}`, true);
      voice.leave();
      voice = undefined;
      problem(...(ENDINGS[reason] ?? LOST));
      state("failed", "Not in a room");
    },
  };
  return Object.fromEntries(Object.entries(events).map(([name, tell]) => [name, (...news) => { if (isCurrent()) tell(...news); }]));
}

at("join-form").addEventListener("submit", (event) => { event.preventDefault(); if (livekit && !voice) join(); });
at("leave-button").addEventListener("click", leave);
at("hear-button").addEventListener("click", () => voice?.hear());
at("mute-button").addEventListener("click", () => speak(muted));
at("microphone").addEventListener("change", () => voice?.useMicrophone(at("microphone").value).catch(() => problem("This microphone cannot be used.", "Choose another one.")));
at("token-button").addEventListener("click", () => ask().catch((error) => problem(...inWords(error))));
at("message-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = at("message").value.trim();
  if (!text || !voice) return;
  at("message").value = "";
  showMessage("You", text);
  await voice.send(text).catch(() => problem("The message was not sent.", "Join again if the connection is lost."));
});
at("log-copy-button").addEventListener("click", () => copy("log-copied", [...at("log").children].map((line) => `${line.firstChild.textContent} ${line.lastChild.textContent}`).join("\n")));
at("token-copy-button").addEventListener("click", () => copy("token-copied", jwt));
navigator.mediaDevices?.addEventListener("devicechange", listMicrophones);

// What happens first.

async function configure() {
  config = await fetch("config.json").then((response) => response.json());
}

// While `dev` still fetches the client, ours is the place to load it from; if that fails, it knows a better one afterwards.
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
at("agent").replaceChildren(...config.agents.map((each) => new Option(each.label, each.name)));
at("agent-remedy").replaceChildren(...withCode(config.agent_remedy));
at("agent-remedy").hidden = !config.agent_remedy;
at("chain").textContent = config.chain;
at("token-button").disabled = false;
setInterval(showTimeLeft, 1000);
setInterval(showLevels, 50);
await listMicrophones();
if (!config.livekit) notice("No LiveKit server runs here, so nobody can join. Tokens can be made and looked at.", config.livekit_remedy);
try {
  const client = await loadClient();
  log(`LiveKit's client ${client.version} is loaded`);
  if (config.livekit) livekit = client;
} catch {
  notice("LiveKit's client could not be loaded, so nobody can join. Tokens can be made and looked at.", config.client_remedy);
}
state("idle", "Not in a room");
document.body.dataset.ready = "true";
