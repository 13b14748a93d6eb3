// The agent did not join: why that usually is, in order, for this token and this run of `dev`.

export const PATIENCE = 10; // seconds

const RESTARTED = "The LiveKit server may have restarted before the worker registered again. Leave, then join again.";

export function reasons(agents, config, hasRejoined) {
  return [...(hasRejoined ? [RESTARTED] : []), ...usual(agents, config)];
}

function usual(agents, config) {
  const log = "The worker got the job, but failed to join. Its log says why.";
  const names = agents.filter(Boolean);
  if (!names.length) {
    return [
      "The token names no agent, so LiveKit dispatches only unnamed workers. A worker of Moss has a name: let the token name it.",
      `No unnamed worker is registered. ${start(config)}`,
      log,
    ];
  }
  const name = names.join(", ");
  return [
    `No worker is registered as \`${name}\`. ${start(config)}`,
    `Your worker is registered under another name, or without one. Its \`agent_name\` must be exactly \`${name}\`.`,
    log,
  ];
}

function start(config) {
  if (config.agent_remedy) return config.agent_remedy;
  if (config.mode === "local") return "Start your worker with the variables that `moss-voice-server dev` printed.";
  return "Start your worker with the URL and the API key of this LiveKit server.";
}

export function command(agents, config) {
  const [name] = agents.filter(Boolean);
  return config.doctor + (name ? ` --agent ${name}` : "");
}
