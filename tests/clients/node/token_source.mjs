// LiveKit's own client for JavaScript, asked over stdin and stdout: a JSON list of questions in, of answers out.
//   {"url": …, "headers": …, "calls": [{"options": …, "force": …}], "camel_case": …}
//     -> a list, for each call {"server_url": …, "participant_token": …, "payload": …} or {"error": …}
// One question is one TokenSource, whose cache is part of what is tried. Run in the folder where the packages are
// installed, which need not be the folder of this file.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { decodeTokenPayload, TokenSource } = createRequire(`${process.cwd()}/`)("livekit-client");

// As Moss's interfaces and LiveKit's starter apps do it: their own fetch, and the keys in camelCase.
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

const answers = [];
for (const question of JSON.parse(readFileSync(0, "utf8"))) {
  answers.push(await answer(question));
}
process.stdout.write(JSON.stringify(answers));
