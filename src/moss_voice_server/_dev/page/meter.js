// A meter: how loud a sound track is, from 0 to 100, and a picture of the last seconds.

const QUIETEST = -60; // decibels below full scale that are 0 on the meter
const BARS = 48;
export const LOUD = 30; // -42 dB: above the noise of a microphone, below speech

export class Meter {
  constructor(createAudioAnalyser, canvas) {
    this.create = createAudioAnalyser;
    this.canvas = canvas;
    this.history = new Array(BARS).fill(0);
  }

  // Measure `track`, which may be absent, or another one than before; draw; and return the level.
  update(track) {
    if (track?.mediaStreamTrack !== this.source) this.follow(track);
    const level = this.analyser ? this.measure() : 0;
    this.history.push(level);
    this.history.shift();
    this.canvas.setAttribute("aria-valuenow", level);
    this.draw();
    return level;
  }

  measure() {
    this.analyser.analyser.getFloatTimeDomainData(this.samples);
    const power = this.samples.reduce((sum, sample) => sum + sample * sample, 0) / this.samples.length;
    const decibels = 10 * Math.log10(power || Number.MIN_VALUE);
    return Math.round(100 * Math.min(1, Math.max(0, 1 - decibels / QUIETEST)));
  }

  follow(track) {
    this.analyser?.cleanup();
    this.source = track?.mediaStreamTrack;
    this.analyser = this.source && this.create(track, { smoothingTimeConstant: 0 });
    this.samples = this.analyser && new Float32Array(this.analyser.analyser.fftSize);
  }

  clear() {
    this.follow(undefined);
    this.history.fill(0);
    this.canvas.setAttribute("aria-valuenow", 0);
    this.draw();
  }

  draw() {
    draw(this.canvas, this.history);
  }
}

export function drawSilence(canvas) {
  draw(canvas, new Array(BARS).fill(0));
}

function draw(canvas, history) {
  const scale = window.devicePixelRatio || 1;
  const { clientWidth, clientHeight } = canvas;
  const [width, height] = [Math.round(clientWidth * scale), Math.round(clientHeight * scale)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const { color, borderColor } = getComputedStyle(canvas);
  context.clearRect(0, 0, width, height);
  const step = width / BARS;
  history.forEach((level, index) => {
    const bar = Math.max(2 * scale, (level / 100) * height);
    context.fillStyle = level > LOUD ? color : borderColor;
    context.fillRect(index * step, (height - bar) / 2, Math.max(1, step * 0.6), bar);
  });
}
