// Asks the token endpoint as an application's page would, and describes the exchange.

export class Refused extends Error {
  constructor(what, remedy, shown, checks = []) {
    super(what);
    this.remedy = remedy;
    this.shown = shown;
    this.checks = checks;
  }
}

const AUTOMATIC = "automatic";

// What the developer chose on the page; `agent` is a name, "" (as the endpoint decides) or `AUTOMATIC`.
export function tokenRequest(config, { name, agent, authorization }) {
  const body = {
    ...(name && { participant_name: name }),
    ...(agent && agent !== AUTOMATIC && { room_config: { agents: [{ agent_name: agent }] } }),
  };
  const url = agent === AUTOMATIC ? `${config.token_url}?dispatch=automatic` : config.token_url;
  const headers = { "content-type": "application/json", ...(authorization && { authorization }) };
  return { url, headers, body, authorization };
}

export function describe({ url, headers, body }) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${name === "authorization" ? "********" : value}`);
  return `POST ${url}\n${lines.join("\n")}\n\n${JSON.stringify(body, null, 2)}`;
}

// The token and LiveKit's URL, and the response as it is to be shown; throws `Refused` where there is no token in it.
export async function ask(request, isOwn) {
  let response, text;
  try {
    response = await fetch(request.url, { method: "POST", headers: request.headers, body: JSON.stringify(request.body) });
    text = await response.text();
  } catch {
    if (isOwn) throw await diagnosed(request, "Your token endpoint cannot be reached from this page.", "No response that this page may read.");
    throw new Refused("The token endpoint cannot be reached.", "Check that `moss-voice-server dev` still runs in its terminal; if not, start it again.", "No response.");
  }
  const fields = parsed(text);
  const shown = `${response.status} ${response.statusText}\n${headersOf(response)}\n\n${fields ? JSON.stringify(discreet(fields), null, 2) : text}`;
  const url = fields?.server_url ?? fields?.serverUrl ?? fields?.url;
  const token = fields?.participant_token ?? fields?.participantToken ?? fields?.token;
  if (response.ok && url && token) return { url, token, shown };
  const reason = fields?.message ?? (response.ok ? "the response contains no token and server URL" : "no explanation");
  const what = `The token endpoint answered ${response.status}: ${reason}`;
  if (isOwn) throw await diagnosed(request, what, shown);
  const wait = response.headers.get("retry-after");
  throw new Refused(what, wait ? `Try again in ${wait} seconds.` : "See the whole response below, under Token request.", shown);
}

// A browser tells a page nothing about a request that CORS stopped; `dev` asks the endpoint itself, with the doctor's checks.
async function diagnosed(request, what, shown) {
  const checks = await fetch("diagnose", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ authorization: request.authorization || "" }),
  }).then((response) => (response.ok ? response.json() : []), () => []);
  const remedy = checks.length ? "The doctor's checks found:" : "The doctor's checks found nothing wrong. See your application's log.";
  return new Refused(what, remedy, shown, checks);
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" ? value : undefined;
  } catch {
    return undefined;
  }
}

function headersOf(response) {
  return ["content-type", "cache-control", "retry-after"].filter((name) => response.headers.has(name)).map((name) => `${name}: ${response.headers.get(name)}`).join("\n");
}

// Anyone who sees this page could join with a token for a server elsewhere: its signature is masked.
function discreet(fields) {
  const url = fields.server_url ?? fields.serverUrl ?? fields.url;
  if (isLocal(url)) return fields;
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, /^eyJ[\w-]+\.[\w-]+\./.test(value) ? value.replace(/[^.]+$/, "********") : value]));
}

function isLocal(url) {
  return URL.canParse(url) && ["127.0.0.1", "localhost", "[::1]"].includes(new URL(url).hostname);
}
