// LiveKit's own SDK for Node, asked over stdin and stdout: a JSON list of questions in, a JSON list of answers out.
//   {"verify": token, "key": …, "secret": …}                       -> {"claims": …} or {"error": …}
//   {"mint": options, "video": …, "room_config": …, "key": …, "secret": …}  -> {"token": …}
// Run in the folder where the packages are installed, which need not be the folder of this file.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { AccessToken, RoomConfiguration, TokenVerifier } = createRequire(`${process.cwd()}/`)("livekit-server-sdk");

async function answer(question) {
  if ("verify" in question) {
    try {
      return { claims: await new TokenVerifier(question.key, question.secret).verify(question.verify) };
    } catch (error) {
      return { error: error.message };
    }
  }
  const token = new AccessToken(question.key, question.secret, question.mint);
  token.addGrant(question.video);
  if (question.room_config) {
    token.roomConfig = RoomConfiguration.fromJson(question.room_config);
  }
  return { token: await token.toJwt() };
}

const questions = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(await Promise.all(questions.map(answer))));
