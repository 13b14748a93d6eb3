// What the page shows: events, problems, messages, the token, the microphones.

import { clock, facts, grants, left } from "./token.js";

export const at = (id) => document.getElementById(id);
const TOKEN = /eyJ[\w-]+\.[\w-]*(\.[\w-]*)?/g;

export function log(text, isBad = false) {
  const line = element("li");
  // A LiveKit server of 1.13.5 and older repeats a token that it refuses.
  line.append(element("time", clock(new Date())), text.replace(TOKEN, "[token]"));
  line.classList.toggle("bad", isBad);
  append(at("log"), line);
}

export function showProblem(what, remedy, checks = []) {
  at("problem-what").textContent = what.replace(TOKEN, "[token]");
  at("problem-remedy").replaceChildren(...withCode(remedy));
  at("problem-checks").replaceChildren(...checks.map(({ name, detail, remedy: way }) => element("li", element("b", name), ` ${detail}`, ...(way ? [element("br"), `→ ${way}`] : []))));
  at("problem-checks").hidden = checks.length === 0;
  at("problem").hidden = false;
  log(what, true);
}

export function hideProblem() {
  at("problem").hidden = true;
}

export function showNotice(what, remedy) {
  const box = element("div", element("p", what), element("p", ...withCode(remedy)));
  box.className = "notice";
  at("notices").append(box);
}

export function showAbsence(reasons, command) {
  at("absence").hidden = false;
  at("absence-reasons").replaceChildren(...reasons.map((reason) => element("li", ...withCode(reason))));
  at("absence-command").textContent = command;
  log("the agent did not join within 10 seconds", true);
}

export function showMessage(from, text, segment) {
  const known = segment && [...at("messages").children].find((line) => line.dataset.segment === segment);
  const line = known || element("li");
  line.dataset.segment = segment ?? "";
  line.replaceChildren(element("b", from), " ", text);
  line.classList.toggle("mine", from === "You");
  if (!known) append(at("messages"), line);
}

export function showToken(token) {
  at("token-panel").hidden = false;
  at("token-copy-button").disabled = false;
  at("token-copied").textContent = "";
  at("token-facts").replaceChildren(...facts(token).flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  const items = (yes) => grants(token).filter(([allowed]) => allowed === yes).map(([, what, note]) => element("li", what, element("span", note)));
  at("token-allows").replaceChildren(...items(true));
  at("token-forbids").replaceChildren(...items(false));
  showTimeLeft(token);
}

export function showTimeLeft(token) {
  const life = left(token, Date.now() / 1000);
  at("token-life").value = life.share;
  at("token-life").dataset.state = life.state;
  at("token-left").textContent = life.text;
}

export async function listMicrophones() {
  const devices = await navigator.mediaDevices?.enumerateDevices().catch(() => []) ?? [];
  const chosen = at("microphone").value;
  // Before the microphone is allowed, a browser reveals neither ids nor names.
  const found = devices.filter((each) => each.kind === "audioinput" && each.deviceId && each.deviceId !== "default");
  at("microphone").replaceChildren(new Option("System default", ""), ...found.map((each, index) => new Option(each.label || `Microphone ${index + 1}`, each.deviceId)));
  at("microphone").value = found.some((each) => each.deviceId === chosen) ? chosen : "";
}

export async function copy(where, text) {
  at(where).textContent = await navigator.clipboard.writeText(text).then(() => "Copied.", () => "The browser does not allow it: select the text instead.");
}

// Keyboard users must not lose their place when the focused element disappears, nor leave by a second Enter.
export function keepFocus(focused) {
  const isUsable = focused.checkVisibility() && !focused.matches(":disabled, #leave-button");
  if (!isUsable) [at("join-button"), at("mute-button"), at("leave-button")].find((each) => each.checkVisibility()).focus();
}

export function withCode(text) {
  return text.split("`").map((part, index) => index % 2 ? element("code", part) : part);
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
