// A token endpoint in Express with LiveKit's own SDK for Node, written by hand; see benchmarks/served.
// Arguments: a socket that listens already, as a file descriptor; the users by session, and LiveKit's address, key and
// secret, as JSON.
// Run in the folder where the packages are installed, which need not be the folder of this file.
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(`${process.cwd()}/`);
const express = require("express");
const { AccessToken } = require("livekit-server-sdk");
const { users, url, key, secret } = JSON.parse(process.argv[3]);
const may = { roomJoin: true, canPublish: true, canSubscribe: true, canPublishData: true };

const app = express();
app.use(express.json());

app.post("/voice/token", async (request, response) => {
  const [scheme, bearer] = (request.get("authorization") ?? "").split(" ");
  const user = scheme.toLowerCase() === "bearer" ? users[bearer] : undefined;
  if (user === undefined) {
    return response.status(401).json({ error: "unauthenticated" });
  }
  const [identity, name] = user;
  const token = new AccessToken(key, secret, { identity, name, ttl: "15m" });
  token.addGrant({ ...may, room: `room-${randomBytes(16).toString("hex")}` });
  return response.status(201).json({ server_url: url, participant_token: await token.toJwt() });
});

const server = createServer(app);
server.keepAliveTimeout = 600_000;
server.listen({ fd: Number(process.argv[2]) });
