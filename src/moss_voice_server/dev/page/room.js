// Room: everything that speaks to LiveKit's client; tells what happens to the listener that is handed in.

const STATES = { initializing: "getting ready", idle: "here", listening: "listening", thinking: "thinking", speaking: "speaking" };

export async function load(client) {
  const script = document.createElement("script");
  script.src = client.src;
  if (client.integrity) {
    script.integrity = client.integrity;
    script.crossOrigin = "anonymous";
  }
  await new Promise((done, failed) => {
    script.onload = done;
    script.onerror = () => failed(new Error("unreachable"));
    document.head.append(script);
  });
  return window.LivekitClient;
}

export class VoiceRoom {
  constructor(livekit, tell) {
    this.livekit = livekit;
    this.tell = tell;
    this.room = new livekit.Room({ adaptiveStream: true });
    this.sounds = document.createElement("div");
    document.body.append(this.sounds);
    this.listen();
  }

  listen() {
    const { RoomEvent, ParticipantKind } = this.livekit;
    const on = (event, handler) => this.room.on(event, handler);
    const isAgent = (participant) => participant?.kind === ParticipantKind.AGENT;
    on(RoomEvent.ConnectionStateChanged, (state) => this.tell.log(`connection ${state}`));
    on(RoomEvent.ParticipantConnected, (who) => { this.tell.log(`${label(who)} joined`); this.seeAgent(); });
    on(RoomEvent.ParticipantDisconnected, (who) => { this.tell.log(`${label(who)} left`); this.seeAgent(); });
    on(RoomEvent.ParticipantAttributesChanged, (_changed, who) => { if (isAgent(who)) this.seeAgent(); });
    on(RoomEvent.TrackSubscribed, (track, _publication, who) => {
      this.tell.log(`hearing ${label(who)}`);
      if (track.kind === "audio") this.sounds.append(track.attach());
      this.seeAgent();
    });
    on(RoomEvent.TrackUnsubscribed, (track) => track.detach().forEach((element) => element.remove()));
    on(RoomEvent.LocalTrackPublished, (publication) => this.tell.log(`sending ${publication.source}`));
    on(RoomEvent.ConnectionQualityChanged, (quality, who) => { if (who === this.room.localParticipant) this.tell.quality(quality); });
    on(RoomEvent.AudioPlaybackStatusChanged, () => this.tell.playback(this.room.canPlaybackAudio));
    on(RoomEvent.MediaDevicesError, (error) => this.tell.problem("The microphone cannot be used.", microphoneRemedy(error)));
    on(RoomEvent.DataReceived, (bytes, who) => this.tell.message(label(who), new TextDecoder().decode(bytes)));
    on(RoomEvent.TranscriptionReceived, (segments, who) => segments.filter((each) => each.final).forEach((each) => this.tell.message(label(who), each.text)));
    on(RoomEvent.Disconnected, (reason) => this.tell.left(this.livekit.DisconnectReason[reason] ?? ""));
    for (const topic of ["lk.chat", "lk.transcription"]) {
      this.room.registerTextStreamHandler(topic, async (reader, who) => this.tell.message(who.identity, await reader.readAll()));
    }
  }

  async join(url, token, microphone) {
    await this.room.connect(url, token);
    this.seeAgent();
    try {
      await this.room.localParticipant.setMicrophoneEnabled(true, microphone ? { deviceId: microphone } : undefined);
    } catch (error) {
      this.tell.problem("You are in the room, but cannot be heard: the microphone cannot be used.", microphoneRemedy(error));
    }
  }

  seeAgent() {
    const agent = this.agent();
    this.tell.agent(agent?.identity ?? "", agent ? STATES[agent.attributes["lk.agent.state"]] ?? "here" : "not here");
  }

  agent() {
    return [...this.room.remoteParticipants.values()].find((each) => each.kind === this.livekit.ParticipantKind.AGENT);
  }

  levels() {
    return { mine: this.room.localParticipant.audioLevel, agent: this.agent()?.audioLevel ?? 0 };
  }

  async mute(muted) {
    await this.room.localParticipant.setMicrophoneEnabled(!muted);
  }

  async send(text) {
    await this.room.localParticipant.sendText(text, { topic: "lk.chat" });
  }

  async hear() {
    await this.room.startAudio();
  }

  async leave() {
    await this.room.disconnect();
    this.sounds.remove();
  }
}

function label(participant) {
  return participant ? participant.name || participant.identity : "the server";
}

function microphoneRemedy(error) {
  return error?.name === "NotFoundError"
    ? "Plug one in, then leave and join again."
    : "Allow the microphone for this page in the browser's address bar, then leave and join again.";
}
