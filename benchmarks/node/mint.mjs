// LiveKit's own SDK for Node as a minter: for each number on a line of its input, so many tokens and the time they took.
// Argument: the request as JSON. Answers: one line of JSON each, {"seconds": …, "token": …}, in seconds of the
// processor's time, of all threads together.
// Run in the folder where the packages are installed, which need not be the folder of this file.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { AccessToken, RoomAgentDispatch, RoomConfiguration } = createRequire(`${process.cwd()}/`)("livekit-server-sdk");
const { api_key, api_secret, identity, name, room, agent, metadata, attributes } = JSON.parse(process.argv[2]);
const ttl = 15 * 60;
const may = { roomJoin: true, canPublish: true, canSubscribe: true, canPublishData: true };

async function join() {
  const token = new AccessToken(api_key, api_secret, { identity, name, ttl });
  token.addGrant({ ...may, room });
  return token.toJwt();
}

async function full() {
  const token = new AccessToken(api_key, api_secret, { identity, name, ttl, metadata, attributes: { ...attributes } });
  token.addGrant({ ...may, room });
  token.roomConfig = new RoomConfiguration({ agents: [new RoomAgentDispatch({ agentName: agent })] });
  return token.toJwt();
}

const mint = agent ? full : join;
for await (const line of createInterface({ input: process.stdin })) {
  const start = process.cpuUsage();
  let token;
  for (let left = Number(line); left > 0; left--) {
    token = await mint();
  }
  const { user, system } = process.cpuUsage(start);
  const seconds = (user + system) / 1e6;
  process.stdout.write(`${JSON.stringify({ seconds, token })}\n`);
}
