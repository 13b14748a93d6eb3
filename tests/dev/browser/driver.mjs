// Drives Chromium: a JSON command per line on standard input, a JSON answer per line on standard output.
// Run in the folder where the packages are installed: node driver.mjs CHROMIUM PROFILE FLAG...
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.cwd()}/`);
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const [executablePath, userDataDir, ...flags] = process.argv.slice(2);
const browser = await puppeteer.launch({ executablePath, userDataDir, args: flags, pipe: true, handleSIGINT: false });
const pages = new Map();

// The page's peer connections, for their statistics.
function keepConnections() {
  const Original = window.RTCPeerConnection;
  window.connections = [];
  window.RTCPeerConnection = class extends Original {
    constructor(...settings) {
      super(...settings);
      window.connections.push(this);
    }
  };
}

const commands = {
  async open({ url, width, height, dark, microphone, answers }) {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    const seen = { console: [], requests: [] };
    page.on("console", (message) => { if (["error", "warn"].includes(message.type())) seen.console.push(message.text()); });
    page.on("pageerror", (error) => seen.console.push(`uncaught: ${error.message}`));
    page.on("request", (request) => seen.requests.push(request.url()));
    await page.evaluateOnNewDocument(keepConnections);
    await commands.look({ page, width, height, dark });
    const { origin } = new URL(url);
    await commands.allow({ page, origin, microphone });
    if (answers) {
      await page.setRequestInterception(true);
      page.on("request", (request) => {
        const answer = answers[request.url()];
        if (answer === undefined) return request.continue();
        if (answer === null) return request.abort("internetdisconnected");
        return request.respond({ status: 200, ...answer, body: answer.file ? readFileSync(answer.file) : answer.body });
      });
    }
    const number = pages.size + 1;
    pages.set(number, { context, page, seen, origin });
    await page.goto(url, { waitUntil: "domcontentloaded", timeout: 20_000 });
    return number;
  },
  async allow({ page, origin, microphone }) {
    const cdp = await page.createCDPSession();
    const { targetInfo } = await cdp.send("Target.getTargetInfo");
    for (const [name, setting] of [["microphone", microphone], ["clipboard-write", "granted"]]) {
      await cdp.send("Browser.setPermission", { permission: { name }, setting, origin, browserContextId: targetInfo.browserContextId });
    }
  },
  async value({ page, script }) {
    return await page.evaluate(script);
  },
  async wait({ page, script, seconds }) {
    const deadline = Date.now() + 1000 * seconds;
    for (;;) {
      const value = await page.evaluate(script);
      if (value) return value;
      if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${script}`);
      await new Promise((done) => setTimeout(done, 25));
    }
  },
  async click({ page, selector }) {
    await page.click(selector);
  },
  async type({ page, selector, text }) {
    await page.type(selector, text);
  },
  async press({ page, keys }) {
    for (const key of keys) await page.keyboard.press(key);
  },
  async choose({ page, selector, value }) {
    await page.select(selector, value);
  },
  async shoot({ page, path, whole }) {
    await page.screenshot({ path, fullPage: whole });
  },
  async judge({ page }) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })");
    return violations.map((each) => [each.impact, each.id, each.nodes.map((node) => node.target.join(" ")).join(", ")]);
  },
  async look({ page, width, height, dark }) {
    await page.setViewport({ width, height });
    await page.emulateMediaFeatures([
      { name: "prefers-color-scheme", value: dark ? "dark" : "light" },
      { name: "prefers-reduced-motion", value: "reduce" },
    ]);
  },
  async seen({ seen }) {
    return seen;
  },
  async close({ context }) {
    await context.close();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, page: number, ...rest } = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await commands[command]({ ...pages.get(number), ...rest })) ?? null };
  } catch (error) {
    answer = { error: String(error.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
