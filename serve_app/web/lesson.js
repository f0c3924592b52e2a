/**
 * The conversation: which turn an event belongs to, and what each turn is made of. No DOM, no sound.
 *
 * The wire names no turn, but its order does: a turn begins with `status stt` and ends with `complete`, `error`
 * or `cancelled`, and each `cancel` is answered by one `cancelled`.
 */

/** Turns kept, shown and restored. */
export const KEPT = 100;
const HEARD_AGAIN = 30; // of these the sounds are kept too: half a megabyte a turn

const OVER = new Set(['done', 'stopped', 'failed', 'lost']);
const SAVED = ['id', 'state', 'said', 'words', 'level', 'reply', 'error', 'marks', 'timing'];
// These mean that a setting or a message was wrong, whatever turn is running.
const NOT_OF_A_TURN = new Set(['invalid_field']);

/** One utterance and its answer. States: unsent, sent, stt, llm, tts, then one of `OVER`. */
export class Turn {
  id = 0;
  state = 'unsent';
  said = '';
  words = [];
  level = null; // the event `level`
  reply = '';
  error = null; // {code, message}
  timing = null; // the server's figures
  marks = {}; // this client's clock, ms: sent, arrived, understood, firstWord, firstSound, written
  recording = null; // Blob; not kept over a reload
  pieces = []; // WAV files; not kept over a reload
  stopping = false; // a `cancel` is on its way: what still comes is not played

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

  /** The turn that the server works on, or is about to. */
  get running() {
    return this.#active ?? this.#waiting[0] ?? null;
  }

  /** A new turn for a recording, not sent yet. */
  begin(recording) {
    const turn = new Turn();
    turn.id = (this.last?.id ?? 0) + 1;
    turn.recording = recording;
    this.turns = [...this.turns, turn].slice(-KEPT);
    for (const old of this.turns.slice(0, -HEARD_AGAIN)) Object.assign(old, { pieces: [], recording: null });
    return turn;
  }

  /** The turn that waits for a connection, or null. */
  get waiting() {
    return this.turns.findLast((turn) => turn.state === 'unsent') ?? null;
  }

  /** Before a turn goes out: the others that wait are left for the learner to send again; those. */
  giveUp(turn) {
    const others = this.turns.filter((other) => other !== turn && other.state === 'unsent');
    for (const other of others) other.state = 'lost';
    return others;
  }

  /** Whether the tutor rated something in this conversation before that turn. */
  knownBefore(turn) {
    return this.turns.some((other) => other !== turn && other.level?.estimate);
  }

  /** Forget the answer of a turn whose recording is sent once more. */
  reset(turn) {
    const { id, recording } = turn;
    Object.assign(turn, new Turn(), { id, recording });
  }

  sent(turn, now) {
    turn.state = 'sent';
    turn.marks = { sent: now };
    this.#waiting.push(turn);
  }

  /** A `cancel` goes out; the turn it is meant for, null where nothing runs. */
  cancelSent() {
    const turn = this.running;
    if (!turn || turn.stopping) return null;
    turn.stopping = true;
    this.#cancels.push(turn);
    return turn;
  }

  /** Take an event of the wire; the turn it changed, or null where it belongs to none. */
  take({ event, ...data }, now) {
    if (event === 'cancelled') return this.#end(this.#cancels.shift() ?? null, 'stopped');
    if (event === 'error') {
      const turn = NOT_OF_A_TURN.has(data.code) ? null : this.running;
      if (turn) turn.error = { code: data.code, message: data.message };
      return this.#end(turn, 'failed');
    }
    if (event === 'status' && data.stage === 'stt') this.#active = this.#waiting.shift() ?? null;
    const turn = this.#active;
    if (turn) this.#fill(turn, event, data, now);
    return turn;
  }

  /** A piece of sound came; the turn it belongs to, null where nobody wants to hear it any more. */
  takeAudio(now) {
    const turn = this.#active;
    if (!turn || turn.stopping) return null;
    turn.marks.firstSound ??= now;
    return turn;
  }

  /** The connection is gone, and every turn in flight with it; those turns. */
  lost() {
    const turns = [this.#active, ...this.#waiting].filter(Boolean);
    this.#active = null;
    this.#waiting = [];
    this.#cancels = [];
    for (const turn of turns) turn.state = turn.stopping ? 'stopped' : 'lost';
    return turns;
  }

  /** What is kept over a reload. */
  saved() {
    return this.turns.map((turn) => Object.fromEntries(SAVED.map((name) => [name, turn[name]])));
  }

  restore(saved) {
    this.turns = saved.map((fields) => Object.assign(new Turn(), fields));
    for (const turn of this.turns) if (!turn.over) turn.state = 'stopped';
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
    turn.state = state;
    if (this.#active === turn) this.#active = null;
    this.#waiting = this.#waiting.filter((waiting) => waiting !== turn);
    return turn;
  }
}
