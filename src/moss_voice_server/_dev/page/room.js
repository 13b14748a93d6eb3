// A voice room: all use of LiveKit's client; reports what happens to the listener that is passed in.

import { Meter } from "./meter.js";

const STATES = { initializing: "starting", idle: "joined", listening: "listening", thinking: "thinking", speaking: "speaking" };
const CHAT = "lk.chat";
const TRANSCRIPT = "lk.transcription";

export async function load(client) {
  const script = document.createElement("script");
  script.integrity = client.integrity;
  script.crossOrigin = "anonymous";
  script.src = client.src;
  await new Promise((done, failed) => {
    script.onload = done;
    script.onerror = () => failed(new Error(`${client.src} cannot be loaded`));
    document.head.append(script);
  });
  return window.LivekitClient;
}

export class VoiceRoom {
  constructor(livekit, tell, canvases) {
    this.livekit = livekit;
    this.tell = tell;
    this.room = new livekit.Room();
    this.meters = { mine: new Meter(livekit.createAudioAnalyser, canvases.mine), agent: new Meter(livekit.createAudioAnalyser, canvases.agent) };
    this.sounds = document.createElement("div");
    document.body.append(this.sounds);
    this.listen();
  }

  listen() {
    const { RoomEvent, Track } = this.livekit;
    const { room, tell } = this;
    const agentMayHaveChanged = () => tell.agent(this.agent()?.name || this.agent()?.identity, this.agentState());
    room
      .on(RoomEvent.ConnectionStateChanged, (state) => tell.connection(state))
      .on(RoomEvent.ParticipantConnected, (who) => { tell.log(`${label(who)} joined (${who.identity})`); agentMayHaveChanged(); })
      .on(RoomEvent.ParticipantDisconnected, (who) => { tell.log(`${label(who)} left`); agentMayHaveChanged(); })
      .on(RoomEvent.ParticipantAttributesChanged, agentMayHaveChanged)
      .on(RoomEvent.TrackSubscribed, (track, _publication, who) => {
        tell.log(`receiving ${track.source} of ${label(who)}`);
        if (track.kind === Track.Kind.Audio) this.sounds.append(track.attach());
      })
      .on(RoomEvent.TrackUnsubscribed, (track) => track.detach().forEach((element) => element.remove()))
      .on(RoomEvent.LocalTrackPublished, (publication) => tell.log(`sending ${publication.source}`))
      .on(RoomEvent.ConnectionQualityChanged, (quality, who) => { if (who === room.localParticipant) tell.quality(quality); })
      .on(RoomEvent.AudioPlaybackStatusChanged, () => tell.playback(room.canPlaybackAudio))
      .on(RoomEvent.DataReceived, (bytes, who, _kind, topic) => tell.log(`data from ${label(who)}${topic ? ` (${topic})` : ""}: ${new TextDecoder().decode(bytes)}`))
      .on(RoomEvent.Disconnected, (reason) => tell.left(this.livekit.DisconnectReason[reason] ?? "UNKNOWN_REASON"));
    room.registerTextStreamHandler(CHAT, async (reader, from) => tell.message(this.nameOf(from.identity), await reader.readAll()));
    room.registerTextStreamHandler(TRANSCRIPT, (reader, from) => this.transcribe(reader, from.identity));
    this.agentMayHaveChanged = agentMayHaveChanged;
  }

  // A segment of a transcript arrives in parts, and may be corrected later under the same segment id.
  async transcribe(reader, identity) {
    const { "lk.segment_id": segment, "lk.transcribed_track_id": track } = reader.info.attributes ?? {};
    const said = this.nameOf(this.ownerOf(track) ?? identity);
    let text = "";
    for await (const bit of reader) {
      text += bit;
      this.tell.message(said, text, segment ?? reader.info.id);
    }
  }

  async join(url, token) {
    await this.room.connect(url, token);
    this.agentMayHaveChanged();
  }

  async speak(on, microphone) {
    await this.room.localParticipant.setMicrophoneEnabled(on, microphone ? { deviceId: microphone } : undefined);
  }

  async useMicrophone(microphone) {
    await this.room.switchActiveDevice("audioinput", microphone || "default");
  }

  agent() {
    return [...this.room.remoteParticipants.values()].find((each) => each.kind === this.livekit.ParticipantKind.AGENT);
  }

  agentState() {
    const agent = this.agent();
    return agent ? STATES[agent.attributes["lk.agent.state"]] ?? "joined" : "";
  }

  levels() {
    const { Microphone } = this.livekit.Track.Source;
    const track = (who) => who?.getTrackPublication(Microphone)?.track;
    return { mine: this.meters.mine.update(track(this.room.localParticipant)), agent: this.meters.agent.update(track(this.agent())) };
  }

  nameOf(identity) {
    return identity === this.room.localParticipant.identity ? "You" : label(this.room.remoteParticipants.get(identity)) || identity;
  }

  ownerOf(trackId) {
    const all = [this.room.localParticipant, ...this.room.remoteParticipants.values()];
    return all.find((who) => who.trackPublications.has(trackId))?.identity;
  }

  async send(text) {
    await this.room.localParticipant.sendText(text, { topic: CHAT });
  }

  async hear() {
    await this.room.startAudio();
  }

  async leave() {
    await this.room.disconnect();
    this.sounds.remove();
    for (const meter of Object.values(this.meters)) meter.clear();
  }
}

function label(participant) {
  return participant ? participant.name || participant.identity : "";
}
