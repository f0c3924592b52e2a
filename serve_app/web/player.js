/**
 * Plays pieces of speech back to back without gaps, and can stop at once.
 *
 * Each piece is scheduled on the audio clock at the end of the previous one, so no page timer is involved. The
 * context is created at the first press of a button: browsers allow no sound before.
 */

import { soundAs } from './recorder.js';
import { audibleSamples, parseWav } from './wav.js';

const LEAD_S = 0.05; // lead time of the first piece, so that it does not start in the past
const SLOWLY = 0.75; // of the speed at which the voice was made
const FADE_S = 0.02; // stopping abruptly would click

export class Player {
  #context = null;
  #output = null; // the gain node of what plays now; stopping fades it out and drops it
  #sources = new Set();
  #next = 0;
  #slow = null; // the audio element of what plays slowly: only media elements keep the pitch
  #changed;
  /** Audible samples of all sources started so far; tests read it. */
  samplesPlayed = 0;

  /** @param {() => void} changed called when playing begins or ends */
  constructor(changed) {
    this.#changed = changed;
    // On a touch screen the end of a press, not its start, is the gesture that allows sound.
    for (const gesture of ['pointerup', 'click', 'keydown']) {
      document.addEventListener(gesture, () => this.#context && this.context());
    }
  }

  get playing() {
    return this.#sources.size > 0 || this.#slow !== null;
  }

  /** The audio context, resumed if the browser allows it. Make the first call in a user gesture. */
  context() {
    if (!this.#context) {
      soundAs('playback');
      this.#context = new AudioContext({ latencyHint: 'interactive' });
    }
    if (this.#context.state !== 'running') this.#context.resume().catch(() => {});
    return this.#context;
  }

  /** Decode a WAV file from the server to a buffer for `play`. */
  bufferOf(file) {
    const { rate, channels } = parseWav(file);
    const buffer = this.context().createBuffer(channels.length, Math.max(1, channels[0].length), rate);
    channels.forEach((samples, channel) => buffer.copyToChannel(samples, channel));
    return buffer;
  }

  /** Decode a recording made by this browser. */
  async decode(blob) {
    return this.context().decodeAudioData(await blob.arrayBuffer());
  }

  /** Play a buffer after what is already playing, or now. */
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

  /** Play WAV files one after the other, slower and at the same pitch. Returns whether the browser could. */
  async playSlowly(files) {
    const audio = new Audio();
    audio.preservesPitch = true;
    audio.defaultPlaybackRate = SLOWLY; // loading the next file resets the rate to this one
    this.#slow = audio;
    this.#changed();
    try {
      for (const file of files) {
        if (this.#slow !== audio) break; // stopped meanwhile
        await played(audio, file);
      }
      return true;
    } catch {
      return this.#slow !== audio; // stopping it while it loads is no failure
    } finally {
      if (this.#slow === audio) {
        this.#slow = null;
        this.#changed();
      }
    }
  }

  /** Stop at once. Returns whether anything was playing. */
  stop() {
    if (!this.playing) return false;
    if (this.#slow) {
      const audio = this.#slow;
      this.#slow = null;
      audio.pause(); // `played` ends with it
      if (!this.playing) {
        this.#changed();
        return true;
      }
    }
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

/** Play one file to its end, or until it is paused. */
async function played(audio, file) {
  const address = URL.createObjectURL(new Blob([file], { type: 'audio/wav' }));
  try {
    await new Promise((resolve, reject) => {
      audio.onended = resolve;
      audio.onpause = () => audio.ended || resolve(); // the end of a file pauses it too
      audio.onerror = () => reject(new Error('the browser cannot play it'));
      audio.src = address;
      audio.play().catch(reject);
    });
  } finally {
    URL.revokeObjectURL(address);
  }
}
