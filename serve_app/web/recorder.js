/**
 * One utterance from the microphone, as a recording that the server takes.
 *
 * The microphone is open only while the learner talks: the browser's own sign tells the truth about it, and
 * phones play the answer through the loudspeaker instead of the earpiece.
 */

const FORMATS = ['audio/webm;codecs=opus', 'audio/mp4', 'audio/ogg;codecs=opus'];
const TAIL_MS = 180; // people let go of the button on the last syllable
const SHORTEST_MS = 350;
const STOP_MS = 2000;
const BITS_PER_SECOND = 32_000;
const QUIET_DB = -60;
const LOUD_DB = -12;

/** Why there is no recording. `kind`: refused, none, busy, insecure, unsupported. */
export class MicrophoneError extends Error {
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

export class Recorder {
  #stream = null;
  #recorder = null;
  #chunks = [];
  #startedAt = 0;
  #frame = 0;
  #level;
  #ended;

  /**
   * @param {(level: number) => void} level told how loud it is, 0..1, as often as the screen is drawn
   * @param {() => void} ended told when the microphone is gone: unplugged, or taken by a call
   */
  constructor(level, ended) {
    this.#level = level;
    this.#ended = ended;
  }

  /**
   * Open the microphone and record; resolves once it really records.
   * @param {AudioContext} context for the level
   * @throws {MicrophoneError}
   */
  async start(context) {
    this.#stream = await openMicrophone();
    const mimeType = FORMATS.find((format) => MediaRecorder.isTypeSupported(format));
    const options = { audioBitsPerSecond: BITS_PER_SECOND, ...(mimeType && { mimeType }) };
    const chunks = []; // its own: what a discarded recorder still sends must not get into the next one's
    this.#chunks = chunks;
    try {
      this.#recorder = new MediaRecorder(this.#stream, options);
      this.#recorder.ondataavailable = (event) => event.data.size && chunks.push(event.data);
      await new Promise((resolve, reject) => {
        this.#recorder.onstart = resolve;
        this.#recorder.onerror = reject;
        this.#recorder.start();
      });
    } catch {
      this.#close();
      throw new MicrophoneError('busy');
    }
    this.#recorder.onstop = () => this.#ended();
    this.#startedAt = performance.now();
    try {
      this.#watch(context);
    } catch {
      // Firefox refuses where the rates of microphone and context differ: no level then, the recording goes on
    }
  }

  /** The recording so far; null where it is too short to hold a word. */
  async finish() {
    await new Promise((resolve) => setTimeout(resolve, TAIL_MS));
    const recorder = this.#recorder;
    if (!recorder) return null; // discarded in the meantime
    const lasted = performance.now() - this.#startedAt;
    if (recorder.state !== 'inactive') {
      await new Promise((resolve) => {
        recorder.onstop = resolve;
        recorder.stop();
        setTimeout(resolve, STOP_MS); // it has what it has
      });
    }
    const recording = new Blob(this.#chunks, { type: recorder.mimeType });
    this.#close();
    return lasted < SHORTEST_MS + TAIL_MS || !recording.size ? null : recording;
  }

  /** Stop and keep nothing. */
  discard() {
    if (this.#recorder) this.#recorder.onstop = null;
    if (this.#recorder && this.#recorder.state !== 'inactive') this.#recorder.stop();
    this.#close();
  }

  #close() {
    cancelAnimationFrame(this.#frame);
    soundAs('playback');
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = this.#recorder = null;
    this.#level(0);
  }

  #watch(context) {
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    const source = context.createMediaStreamSource(this.#stream);
    source.connect(analyser); // and no further: nobody wants to hear themselves
    const samples = new Float32Array(analyser.fftSize);
    const stream = this.#stream;
    const look = () => {
      if (this.#stream !== stream) return source.disconnect();
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      const db = 10 * Math.log10(power + 1e-12);
      this.#level(Math.min(1, Math.max(0, (db - QUIET_DB) / (LOUD_DB - QUIET_DB))));
      this.#frame = requestAnimationFrame(look);
      return undefined;
    };
    look();
  }
}

const KINDS = {
  NotAllowedError: 'refused',
  SecurityError: 'refused',
  NotFoundError: 'none',
  OverconstrainedError: 'none',
  NotReadableError: 'busy',
  AbortError: 'busy',
};

async function openMicrophone() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new MicrophoneError(window.isSecureContext ? 'unsupported' : 'insecure');
  }
  if (!window.MediaRecorder) throw new MicrophoneError('unsupported');
  soundAs('play-and-record');
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    throw new MicrophoneError(KINDS[error.name] ?? 'busy');
  }
}

/** On an iPhone: play although its ringer is off. Other browsers know no audio session. */
export function soundAs(type) {
  if (navigator.audioSession) navigator.audioSession.type = type;
}
