/**
 * The conversation: the turns, and which turn an event belongs to. No DOM, no sound.
 *
 * Events carry no turn id, but their order tells: a turn begins with `status stt` and ends with `complete`, `error`
 * or `cancelled`, and each `cancel` is answered by one `cancelled`.
 */

/** How many turns are kept, shown and restored. */
export const KEPT = 100;
/** How many turns keep their sound: half a megabyte each. */
export const HEARD_AGAIN = 30;

const OVER = new Set(['done', 'stopped', 'failed', 'lost', 'unsaid']);
const SAVED = ['id', 'sound', 'state', 'said', 'words', 'level', 'correction', 'reply', 'error', 'marks', 'timing'];
// These errors mean a wrong setting or message; they do not belong to the running turn.
const NOT_OF_A_TURN = new Set(['invalid_field']);

/** One utterance and its answer. States: unsent, sent, stt, llm, tts, then one of `OVER`. */
export class Turn {
  id = 0;
  sound = null; // the key of its sound in sounds.js
  state = 'unsent';
  said = '';
  words = [];
  level = null; // the event `level`
  correction = null; // the event `correction`
  reply = '';
  error = null; // {code, message}
  place = 0; // in the queue of a full server; 1 is next
  timing = null; // the server's figures
  marks = {}; // this client's clock, ms: sent, arrived, understood, firstWord, firstSound, written
  recording = null; // Blob; kept over a reload by sounds.js, like the pieces
  pieces = []; // WAV files
  repeat = null; // what repeat.js shows below the answer; not kept
  unheard = null; // the text that says why its sound is gone
  stopping = false; // `cancel` was sent: audio that still arrives is not played

  get over() {
    return OVER.has(this.state);
  }
}

export class Lesson {
  /** @type {Turn[]} */
  turns = [];
  #active = null;
  #waiting = [];
  #cancels = [];

  get last() {
    return this.turns.at(-1) ?? null;
  }

  /** The turn that the server is working on, or will next. */
  get running() {
    return this.#active ?? this.#waiting[0] ?? null;
  }

  /** Add a turn for a recording that is not sent yet; `sound` is the key of its sound. */
  begin(recording, sound = null) {
    const turn = new Turn();
    turn.id = (this.last?.id ?? 0) + 1;
    Object.assign(turn, { recording, sound });
    this.turns = [...this.turns, turn].slice(-KEPT);
    for (const old of this.turns.slice(0, -HEARD_AGAIN)) {
      Object.assign(old, { pieces: [], recording: null, unheard: 'soundGone' });
    }
    return turn;
  }

  /** The turn whose sound was let go last, or null. */
  get letGo() {
    return this.turns.at(-HEARD_AGAIN - 1) ?? null;
  }

  /** The turn waiting for a connection, or null. */
  get waiting() {
    return this.turns.findLast((turn) => turn.state === 'unsent') ?? null;
  }

  /** Called before a turn is sent: the other waiting turns are left for the learner to resend. Returns them. */
  giveUp(turn) {
    const others = this.turns.filter((other) => other !== turn && other.state === 'unsent');
    for (const other of others) other.state = 'lost';
    return others;
  }

  /** Whether an earlier turn of this conversation has a level. */
  knownBefore(turn) {
    return this.turns.some((other) => other !== turn && other.level?.estimate);
  }

  /** Clear the answer of a turn whose recording is sent again. */
  reset(turn) {
    const { id, recording, sound } = turn;
    Object.assign(turn, new Turn(), { id, recording, sound });
  }

  sent(turn, now) {
    turn.state = 'sent';
    turn.marks = { sent: now };
    this.#waiting.push(turn);
  }

  /** Called when `cancel` is sent. Returns the turn it is for, or null if none runs. */
  cancelSent() {
    const turn = this.running;
    if (!turn || turn.stopping) return null;
    turn.stopping = true;
    this.#cancels.push(turn);
    return turn;
  }

  /** Handle an event of the server. Returns the turn that changed, or null. */
  take({ event, ...data }, now) {
    if (event === 'cancelled') return this.#end(this.#cancels.shift() ?? null, 'stopped');
    if (event === 'error') {
      const turn = NOT_OF_A_TURN.has(data.code) ? null : this.running;
      if (turn) turn.error = { code: data.code, message: data.message };
      return this.#end(turn, 'failed');
    }
    if (event === 'waiting') {
      const [queued = null] = this.#waiting;
      if (queued) queued.place = data.place;
      return queued;
    }
    if (event === 'status' && data.stage === 'stt') this.#active = this.#waiting.shift() ?? null;
    const turn = this.#active;
    if (turn) turn.place = 0;
    if (turn) this.#fill(turn, event, data, now);
    return turn;
  }

  /** Handle a piece of audio. Returns the turn it belongs to, or null if it was cancelled. */
  takeAudio(now) {
    const turn = this.#active;
    if (!turn || turn.stopping) return null;
    turn.marks.firstSound ??= now;
    return turn;
  }

  /** The connection was lost: marks the turns in flight and returns them. */
  lost() {
    const turns = [this.#active, ...this.#waiting].filter(Boolean);
    this.#active = null;
    this.#waiting = [];
    this.#cancels = [];
    for (const turn of turns) Object.assign(turn, { state: turn.stopping ? 'stopped' : 'lost', place: 0 });
    return turns;
  }

  /** The data kept over a reload. */
  saved() {
    return this.turns.map((turn) => Object.fromEntries(SAVED.map((name) => [name, turn[name]])));
  }

  restore(saved) {
    this.turns = saved.map((fields) => Object.assign(new Turn(), fields));
    for (const turn of this.turns) {
      if (turn.state === 'unsent') turn.state = 'unsaid';
      else if (!turn.over) turn.state = turn.marks.written ? 'done' : 'stopped';
    }
  }

  /** Give the turns of before a reload their sound back: `kept` is `{recording, pieces}` by key, null if none is kept. */
  restoreSounds(kept, turns) {
    for (const turn of turns) {
      const found = kept?.get(turn.sound);
      if (found) Object.assign(turn, found);
      else turn.unheard = kept ? 'soundGone' : 'soundNotKept';
    }
  }

  clear() {
    this.lost();
    this.turns = [];
  }

  #fill(turn, event, data, now) {
    if (event === 'status') {
      turn.state = data.stage;
      if (data.stage === 'stt') turn.marks.arrived ??= now;
      if (data.stage === 'llm') turn.marks.understood ??= now;
    } else if (event === 'transcript') {
      turn.said = data.transcript;
      turn.words = data.words ?? [];
    } else if (event === 'level') {
      turn.level = data;
    } else if (event === 'correction') {
      turn.correction = data;
    } else if (event === 'delta') {
      turn.marks.firstWord ??= now;
      turn.reply += data.text;
    } else if (event === 'response') {
      turn.reply = data.response;
      turn.marks.written = now;
    } else if (event === 'complete') {
      turn.timing = data.timing;
      this.#end(turn, 'done');
    }
  }

  #end(turn, state) {
    if (!turn || turn.over) return turn;
    Object.assign(turn, { state, place: 0 });
    if (this.#active === turn) this.#active = null;
    this.#waiting = this.#waiting.filter((waiting) => waiting !== turn);
    return turn;
  }
}
