// Endpoint: asks the token endpoint as an application's page would, and puts the exchange into words.

export class Refused extends Error {
  constructor(what, remedy, shown) {
    super(what);
    this.remedy = remedy;
    this.shown = shown;
  }
}

export function wish(name, agent) {
  return {
    ...(name && { participant_name: name }),
    ...(agent && { room_config: { agents: [{ agent_name: agent }] } }),
  };
}

export function request(path, body) {
  return `POST ${path}\ncontent-type: application/json\n\n${JSON.stringify(body, null, 2)}`;
}

// The answer of the endpoint, and how it is to be shown; throws `Refused` where there is no token in it.
export async function ask(path, body) {
  let response, text;
  try {
    response = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    text = await response.text();
  } catch {
    throw new Refused("The token endpoint cannot be reached.", "See whether `moss-voice-server dev` still runs in its terminal, and start it again if not.", "No answer.");
  }
  const answer = parsed(text);
  const shown = `${response.status} ${response.statusText}\n${headers(response)}\n\n${answer ? JSON.stringify(discreet(answer), null, 2) : text}`;
  if (response.ok && answer?.participant_token) return { answer, shown };
  const reason = answer?.message ?? "not what a token endpoint answers";
  const wait = response.headers.get("retry-after");
  throw new Refused(`The token endpoint answered ${response.status}: ${reason}`, wait ? `Try again in ${wait} seconds.` : "Its whole answer is below, under Token endpoint.", shown);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function headers(response) {
  return ["content-type", "cache-control", "retry-after"].filter((name) => response.headers.has(name)).map((name) => `${name}: ${response.headers.get(name)}`).join("\n");
}

// A token for a server elsewhere opens a room for everybody who is shown this page: its signature is left out.
function discreet(answer) {
  if (!answer.participant_token || isLocal(answer.server_url)) return answer;
  return { ...answer, participant_token: answer.participant_token.replace(/[^.]+$/, "********") };
}

function isLocal(url) {
  return ["127.0.0.1", "localhost", "[::1]"].includes(new URL(url).hostname);
}
