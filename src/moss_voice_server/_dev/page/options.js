// What the developer can choose, by the mode of this run.

import { at, withCode } from "./view.js";

export function showOptions(config) {
  const isOwn = config.mode === "endpoint";
  // "": the endpoint decides.
  const named = isOwn ? "As the endpoint decides" : { local: config.has_echo ? "Echo agent: repeats what you say" : config.agent, moss: config.agent }[config.mode];
  at("agent").replaceChildren(...(named ? [new Option(named, "")] : []), new Option("Automatic dispatch (unnamed agents)", "automatic"));
  at("agent-label").hidden = isOwn || !config.can_join;
  at("authorization-label").hidden = !isOwn;
  at("microphone-label").hidden = !config.can_join;
  at("voices").hidden = !config.can_join;
  at("agent-remedy").replaceChildren(...withCode(config.agent_remedy));
  at("agent-remedy").hidden = !config.agent_remedy;
  at("token-offer").hidden = !config.can_join;
  at("token-hint").hidden = config.can_join;
  at("join-button").textContent = config.can_join ? "Join a new room" : "Create a token";
  at("talk-title").textContent = config.can_join ? "Talk" : "Try it";
}
