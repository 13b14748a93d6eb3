// LiveKit's client for JavaScript over stdin and stdout: a question in each line in, an answer in each line out, as JSON.
//   {"url": …, "headers": …, "calls": [{"options": …, "force": …}], "camel_case": …}
//     -> a list, for each call {"server_url": …, "participant_token": …, "payload": …} or {"error": …}
// Each question gets a new TokenSource, whose cache is tested too. Run in the folder where the packages are installed.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { decodeTokenPayload, TokenSource } = createRequire(`${process.cwd()}/`)("livekit-client");

// Like Moss's interfaces and LiveKit's starter apps: a custom fetch, and keys in camelCase.
function camelCase(url, headers) {
  return TokenSource.custom(async () => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: "{}",
    });
    const { serverUrl, roomName, participantName, participantToken } = await response.json();
    if (!roomName || !participantName) throw new Error("no roomName or no participantName");
    return { serverUrl, participantToken };
  });
}

async function answer({ url, headers, calls, camel_case }) {
  const source = camel_case ? camelCase(url, headers) : TokenSource.endpoint(url, { headers });
  const answers = [];
  for (const { options, force } of calls) {
    try {
      const { serverUrl, participantToken } = await source.fetch(options, force);
      const { roomConfig, ...payload } = decodeTokenPayload(participantToken);
      answers.push({
        server_url: serverUrl,
        participant_token: participantToken,
        payload: { ...payload, agents: (roomConfig?.agents ?? []).map((agent) => agent.toJson()) },
      });
    } catch (error) {
      answers.push({ error: error.message });
    }
  }
  return answers;
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
