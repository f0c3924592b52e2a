/**
 * The learner talking: from the start signal to a finished recording, whatever gave the signal.
 *
 * States: idle, opening (the microphone), recording, finishing.
 */

import { Recorder } from './recorder.js';

export class Talk {
  #hooks;
  #recorder;
  #limit = 0;
  #abandoned = false;
  state = 'idle';

  /**
   * @param {object} hooks
   * @param {() => AudioContext} hooks.context called in the gesture that begins
   * @param {() => boolean} hooks.may whether talking is possible now; interrupts the answer being spoken
   * @param {() => number} hooks.longest the longest utterance in seconds
   * @param {(recording: Blob) => void} hooks.recorded
   * @param {(why: string) => void} hooks.failed a MicrophoneError's kind, or tooShort, notReady, cutOff
   * @param {() => void} hooks.changed
   * @param {(level: number) => void} hooks.level
   */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#recorder = new Recorder(hooks.level, () => this.end());
  }

  talking() {
    return this.state !== 'idle';
  }

  async begin() {
    if (this.talking() || !this.#hooks.may()) return;
    this.#abandoned = false;
    this.#set('opening');
    try {
      await this.#recorder.start(this.#hooks.context());
    } catch (error) {
      this.#recorder.discard();
      this.#set('idle');
      this.#hooks.failed(error.kind ?? 'busy');
      return;
    }
    if (this.#abandoned) {
      this.#recorder.discard();
      this.#set('idle');
      this.#hooks.failed('notReady');
      return;
    }
    this.#limit = setTimeout(() => {
      this.end();
      this.#hooks.failed('cutOff');
    }, 1000 * this.#hooks.longest());
    this.#set('recording');
  }

  async end() {
    if (this.state === 'opening') this.#abandoned = true; // released while the browser was still asking for permission
    if (this.state !== 'recording') return;
    clearTimeout(this.#limit);
    this.#set('finishing');
    const recording = await this.#recorder.finish();
    this.#set('idle');
    if (recording) this.#hooks.recorded(recording);
    else this.#hooks.failed('tooShort');
  }

  /** Discard the recording. Returns whether there was one. */
  drop() {
    if (this.state === 'opening') this.#abandoned = true;
    if (this.state !== 'recording') return this.talking();
    clearTimeout(this.#limit);
    this.#recorder.discard();
    this.#set('idle');
    return true;
  }

  #set(state) {
    this.state = state;
    this.#hooks.changed();
  }
}
