/** A quiet ring tone. It is synthesized, so no file has to be loaded. */

export class Ring {
  /** @type {AudioContext | null} */
  #audio = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** Rings every three seconds until stopped. */
  start() {
    if (this.#timer !== undefined) return;
    this.#audio ??= new AudioContext();
    this.#tone(this.#audio);
    this.#timer = setInterval(() => this.#audio && this.#tone(this.#audio), 3000);
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /**
   * Plays two short notes. If the browser requires a click first, there is no sound.
   * @param {AudioContext} audio
   */
  #tone(audio) {
    if (audio.state !== 'running') void audio.resume();
    const now = audio.currentTime;
    for (const [start, pitch] of [[0, 660], [0.22, 880]]) {
      const note = new OscillatorNode(audio, { frequency: pitch });
      const volume = new GainNode(audio, { gain: 0 });
      volume.gain.setTargetAtTime(0.08, now + start, 0.02);
      volume.gain.setTargetAtTime(0, now + start + 0.16, 0.05);
      note.connect(volume).connect(audio.destination);
      note.start(now + start);
      note.stop(now + start + 0.5);
    }
  }
}
