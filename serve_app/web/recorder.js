/**
 * Records one utterance from the microphone in a format that the server accepts.
 *
 * The microphone is open only while the learner talks: so the browser's microphone sign is accurate, and phones play
 * the answer through the loudspeaker instead of the earpiece.
 */

const FORMATS = ['audio/webm;codecs=opus', 'audio/mp4', 'audio/ogg;codecs=opus'];
const TAIL_MS = 180; // people release the button on the last syllable
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
   * @param {(level: number) => void} level called with the volume, 0..1, on every animation frame
   * @param {() => void} ended called when the microphone is lost: unplugged, or taken by a call
   */
  constructor(level, ended) {
    this.#level = level;
    this.#ended = ended;
  }

  /**
   * Open the microphone and record; resolves once recording has started.
   * @param {AudioContext} context for the level
   * @throws {MicrophoneError}
   */
  async start(context) {
    this.#stream = await openMicrophone();
    const mimeType = FORMATS.find((format) => MediaRecorder.isTypeSupported(format));
    const options = { audioBitsPerSecond: BITS_PER_SECOND, ...(mimeType && { mimeType }) };
    const chunks = []; // per recorder: late data of a discarded recorder must not get into the next recording
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
      // Firefox refuses if the rates of microphone and context differ: no level then, but the recording continues
    }
  }

  /** Stop and return the recording; null if it is too short to contain a word. */
  async finish() {
    await new Promise((resolve) => setTimeout(resolve, TAIL_MS));
    const recorder = this.#recorder;
    if (!recorder) return null; // discarded meanwhile
    const lasted = performance.now() - this.#startedAt;
    if (recorder.state !== 'inactive') {
      await new Promise((resolve) => {
        recorder.onstop = resolve;
        recorder.stop();
        setTimeout(resolve, STOP_MS); // give up waiting and use what there is
      });
    }
    const recording = new Blob(this.#chunks, { type: recorder.mimeType });
    this.#close();
    return lasted < SHORTEST_MS + TAIL_MS || !recording.size ? null : recording;
  }

  /** Stop and discard the recording. */
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
    source.connect(analyser); // not to the speakers: learners must not hear themselves
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

/** iPhone only: play even if the ringer is off. Other browsers have no audio session. */
export function soundAs(type) {
  if (navigator.audioSession) navigator.audioSession.type = type;
}
