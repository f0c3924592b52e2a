/**
 * Plays pieces of speech one after the other without a gap, and knows how to stop at once.
 *
 * Each piece is scheduled on the audio clock where the one before it ends, so that no timer of the page
 * is between them. The context is made at the first press of a button: browsers let no page sound before.
 */

import { soundAs } from './recorder.js';
import { audibleSamples, parseWav } from './wav.js';

const LEAD_S = 0.05; // for the first piece: the graph must not start in the past
const FADE_S = 0.02; // a voice cut off at once clicks

export class Player {
  #context = null;
  #output = null; // a gain of its own for what plays now: stopping fades it out and forgets it
  #sources = new Set();
  #next = 0;
  #changed;
  /** Audible samples of all sources started so far; tests read it. */
  samplesPlayed = 0;

  /** @param {() => void} changed called when playing begins or ends */
  constructor(changed) {
    this.#changed = changed;
    // On a touch screen a press does not count as the gesture that allows sound; its end does.
    for (const gesture of ['pointerup', 'click', 'keydown']) {
      document.addEventListener(gesture, () => this.#context && this.context());
    }
  }

  get playing() {
    return this.#sources.size > 0;
  }

  /** The audio context, awake where the browser allows it. Call it in a gesture the first time. */
  context() {
    if (!this.#context) {
      soundAs('playback');
      this.#context = new AudioContext({ latencyHint: 'interactive' });
    }
    if (this.#context.state !== 'running') this.#context.resume().catch(() => {});
    return this.#context;
  }

  /** A WAV file of the wire as a buffer that `play` takes. */
  bufferOf(file) {
    const { rate, channels } = parseWav(file);
    const buffer = this.context().createBuffer(channels.length, Math.max(1, channels[0].length), rate);
    channels.forEach((samples, channel) => buffer.copyToChannel(samples, channel));
    return buffer;
  }

  /** A recording of this browser's own, decoded. */
  async decode(blob) {
    return this.context().decodeAudioData(await blob.arrayBuffer());
  }

  /** Play a buffer right after what already plays, or now. */
  play(buffer) {
    const context = this.context();
    if (!this.#output) {
      this.#output = context.createGain();
      this.#output.connect(context.destination);
    }
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#output);
    source.onended = () => this.#ended(source);
    const at = Math.max(context.currentTime + LEAD_S, this.#next);
    source.start(at);
    this.#next = at + buffer.duration;
    this.samplesPlayed += audibleSamples(buffer.getChannelData(0));
    this.#sources.add(source);
    if (this.#sources.size === 1) this.#changed();
  }

  /** Silence, now. Says whether anything was playing. */
  stop() {
    if (!this.playing) return false;
    const output = this.#output;
    const now = this.#context.currentTime;
    output.gain.setValueAtTime(1, now);
    output.gain.linearRampToValueAtTime(0, now + FADE_S);
    for (const source of this.#sources) {
      source.onended = null;
      source.stop(now + FADE_S);
    }
    this.#forget();
    return true;
  }

  #ended(source) {
    this.#sources.delete(source);
    if (!this.playing) this.#forget();
  }

  #forget() {
    this.#sources.clear();
    this.#output = null;
    this.#next = 0;
    this.#changed();
  }
}
