// LiveKit's SDK for Node over stdin and stdout: a JSON list of {"verify": token, "key": …, "secret": …} in, and a list of
// {"claims": …} or {"error": …} out. Run in the folder where the packages are installed.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { TokenVerifier } = createRequire(`${process.cwd()}/`)("livekit-server-sdk");

async function answer({ verify, key, secret }) {
  try {
    return { claims: await new TokenVerifier(key, secret).verify(verify) };
  } catch (error) {
    return { error: error.message };
  }
}

const questions = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(await Promise.all(questions.map(answer))));
