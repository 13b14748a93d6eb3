// Levels: how loud a sound track is right now, for a meter from 0 to 100.

const QUIETEST = -60; // decibels below full scale that are 0 on the meter

export class Meter {
  constructor(createAudioAnalyser) {
    this.create = createAudioAnalyser;
  }

  // The level of `track`, which may be missing, or another one than the last time.
  level(track) {
    if (track?.mediaStreamTrack !== this.source) this.turnTo(track);
    if (!this.ear) return 0;
    this.ear.analyser.getFloatTimeDomainData(this.samples);
    const power = this.samples.reduce((sum, sample) => sum + sample * sample, 0) / this.samples.length;
    const decibels = 10 * Math.log10(power || Number.MIN_VALUE);
    return Math.round(100 * Math.min(1, Math.max(0, 1 - decibels / QUIETEST)));
  }

  turnTo(track) {
    this.ear?.cleanup();
    this.source = track?.mediaStreamTrack;
    this.ear = this.source && this.create(track, { smoothingTimeConstant: 0 });
    this.samples = this.ear && new Float32Array(this.ear.analyser.fftSize);
  }
}
