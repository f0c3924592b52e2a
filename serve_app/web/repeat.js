/** Repeat after me: a sentence of the tutor, said by the learner, and how each word of it came out (docs/pronunciation.md). */

import { el } from './dom.js';
import { has, t } from './i18n.js';
import { headers } from './key.js';

const MOST_WORDS = 30;
const MOST_CHARACTERS = 240;
const ANSWER_MS = 60_000;

/** The last sentence of a reply, in as many words as the server takes; '' if it has none. */
export function lastSentence(reply) {
  const sentence = (reply.match(/[^.!?…]+[.!?…]*/g) ?? []).map((part) => part.trim()).filter((part) => /\p{L}/u.test(part)).at(-1) ?? '';
  const words = sentence.split(/\s+/);
  const fits = words.length <= MOST_WORDS && sentence.length <= MOST_CHARACTERS;
  return fits ? sentence : words.slice(-MOST_WORDS).join(' ').slice(-MOST_CHARACTERS).replace(/^\S*\s/, '');
}

/** Which sentence the learner is about to repeat, and the scores of those that were. */
export class Repeat {
  #lesson;
  #talk;
  #connection;
  #hooks;
  /** The turn whose sentence the next recording repeats, or null. */
  turn = null;

  /**
   * @param {import('./lesson.js').Lesson} lesson
   * @param {import('./talk.js').Talk} talk
   * @param {import('./connection.js').Connection} connection
   * @param {object} hooks
   * @param {(turn) => void} hooks.show redraws a turn
   * @param {(turn) => void} hooks.slowly says the turn's answer again, slowly
   */
  constructor(lesson, talk, connection, hooks) {
    this.#lesson = lesson;
    this.#talk = talk;
    this.#connection = connection;
    this.#hooks = hooks;
  }

  /** Whether there is something to repeat, and a server that scores it. */
  offered(turn) {
    const scored = this.#connection.info?.routes?.includes('pronunciation');
    return Boolean(scored && turn.over && lastSentence(turn.reply));
  }

  /** Ask for the turn's sentence, or stop asking. */
  toggle(turn) {
    if (this.#talk.talking()) return;
    const open = this.turn !== turn;
    this.close();
    if (!open) return;
    this.turn = turn;
    this.#draw(turn, { state: 'asked', sentence: lastSentence(turn.reply) });
  }

  close() {
    const { turn } = this;
    this.turn = null;
    if (turn) this.#draw(turn, null);
  }

  /** Whether a recording was the sentence; its scores are then shown below the tutor's line. */
  take(recording) {
    const { turn } = this;
    this.turn = null;
    if (!this.#lesson.turns.includes(turn)) return false; // nothing was asked for, or in another conversation
    this.#score(turn, recording);
    return true;
  }

  async #score(turn, recording) {
    const asked = { state: 'scoring', sentence: turn.repeat.sentence };
    this.#draw(turn, asked);
    const found = await scores(asked.sentence, recording);
    if (turn.repeat === asked) this.#draw(turn, { sentence: asked.sentence, ...found });
  }

  #draw(turn, repeat) {
    turn.repeat = repeat;
    if (this.#lesson.turns.includes(turn)) this.#hooks.show(turn);
  }

  /** What stands below the tutor's line: the sentence to say, or its words with their verdicts. Null without either. */
  note(turn) {
    const { repeat } = turn;
    if (!repeat) return null;
    const onclick = () => this.#hooks.slowly(turn);
    const hear = el('button', { type: 'button', class: 'small', 'data-what': 'slowly', onclick }, t('repeatSlowly'));
    const parts = [el('p', { class: 'message' }, told(repeat)), sentenceOf(repeat), turn.pieces.length ? hear : null];
    return el('div', { class: 'repeat', role: 'status' }, ...parts);
  }
}

async function scores(sentence, recording) {
  const form = new FormData();
  form.append('audio', recording, 'audio');
  form.append('text', sentence);
  try {
    const options = { method: 'POST', body: form, headers: headers(), signal: AbortSignal.timeout(ANSWER_MS) };
    const answer = await fetch('api/pronunciation', options);
    const { words, code, message } = await answer.json();
    return answer.ok ? { state: 'scored', words } : { state: 'failed', code, message };
  } catch {
    return { state: 'failed', code: 'stage_unavailable', message: '' }; // no connection, or no JSON
  }
}

function told({ state, code, message }) {
  if (state === 'asked') return t('repeatNow');
  if (state === 'scoring') return t('repeatScoring');
  if (state === 'scored') return t('repeatScored');
  return has(`error.${code}`) ? t(`error.${code}`) : t('error.unknown', { message });
}

function sentenceOf({ state, sentence, words }) {
  if (state !== 'scored') return el('p', { lang: 'pt-BR' }, sentence);
  return el('ul', { class: 'scores' }, ...words.map(scored));
}

/** One word with its verdict in words, so that colour is not all that tells it. */
function scored({ word, verdict, sounds_like: alike }) {
  const label = alike ? t('verdictLike', { verdict: t(`verdict.${verdict}`), alike }) : t(`verdict.${verdict}`);
  return el('li', { 'data-verdict': verdict }, el('span', { lang: 'pt-BR' }, word), el('small', {}, label));
}
