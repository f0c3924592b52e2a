/** Draws the conversation as a list of turns. Each turn keeps its nodes; only what changed is rewritten. */

import { corrected, correctionNote } from './correction.js';
import { byId, el, icon } from './dom.js';
import { doubtful } from './hearing.js';
import { has, t } from './i18n.js';
import { timingBar } from './timing.js';

const NEAR_END = 240; // px: a learner who has scrolled further up is reading, so do not scroll
// After these errors the same recording may succeed.
const WORTH_RESENDING = new Set(
  ('busy too_many stopping empty_reply turn_timeout stage_timeout stage_lost stage_unavailable stage_failed '
    + 'internal').split(' '),
);

export class View {
  #list = byId('turns');
  #nodes = new Map();
  #hooks;
  #announced = new Map();

  /**
   * @param {object} hooks
   * @param {(turn, who: 'learner'|'tutor') => void} hooks.replay
   * @param {(why: string) => void} hooks.unheard called to say why a line cannot be played
   * @param {(turn) => void} hooks.resend
   * @param {() => import('./repeat.js').Repeat} hooks.repeat
   * @param {() => boolean} hooks.timed whether the learner wants to see how long answers take
   */
  constructor(hooks) {
    this.#hooks = hooks;
  }

  /** Redraw all turns: after a reload, a change of language, or a new conversation. */
  draw(turns, replaying) {
    this.#nodes.clear();
    this.#list.replaceChildren();
    for (const turn of turns) {
      const reply = turn.marks.written ? turn.reply : '';
      this.#announced.set(turn.id, { said: turn.said, correction: 'old', reply, note: turn.over ? 'old' : null });
      this.update(turn, turns, replaying);
    }
    this.#frame(turns);
  }

  /** Update one turn. `replaying` is the line being replayed: `{turn, who}` or null. */
  update(turn, turns, replaying) {
    const atEnd = nearEnd();
    if (!this.#nodes.has(turn.id)) {
      const item = el('li', { class: 'turn' });
      this.#nodes.set(turn.id, item);
      this.#list.append(item);
      for (const [id, node] of this.#nodes) if (!turns.some((kept) => kept.id === id)) this.#drop(id, node);
    }
    const item = this.#nodes.get(turn.id);
    item.dataset.state = turn.state;
    const opened = item.querySelector('details')?.open;
    const focused = item.contains(document.activeElement) ? document.activeElement.dataset.what : null;
    const last = turn === turns.at(-1);
    const parts = [this.#learner(turn, replaying), this.#tutor(turn, replaying), this.#note(turn)];
    item.replaceChildren(...parts.filter(Boolean));
    if (opened) item.querySelector('details')?.setAttribute('open', '');
    if (focused) item.querySelector(`[data-what="${focused}"]`)?.focus({ preventScroll: true });
    this.#frame(turns);
    this.#announce(turn);
    if (atEnd && last) this.toEnd();
  }

  /** Update only the reply's text: cheap enough for many times a second. */
  grow(turn) {
    const reply = this.#nodes.get(turn.id)?.querySelector('.reply');
    if (!reply || reply.classList.contains('waiting')) return false;
    const atEnd = nearEnd();
    reply.textContent = turn.reply;
    if (atEnd) this.toEnd();
    return true;
  }

  toEnd() {
    window.scrollTo({ top: document.documentElement.scrollHeight });
  }

  /** Make a change that takes room below the conversation: whoever was at its end stays there. */
  stayingAtEnd(change) {
    const atEnd = this.#nodes.size > 0 && nearEnd();
    change();
    if (atEnd) this.toEnd();
  }

  #drop(id, node) {
    node.remove();
    this.#nodes.delete(id);
  }

  #frame(turns) {
    byId('welcome').hidden = turns.length > 0;
    byId('doubt-legend').hidden = !turns.some((turn) => turn.words.some(doubtful));
  }

  #learner(turn, replaying) {
    const words = turn.said ? said(turn) : waiting(turn.over ? null : t('waitingWords'));
    const chip = turn.level?.level;
    const doubts = turn.words.filter(doubtful).map(({ text }) => text.trim());
    return el(
      'div',
      { class: 'line learner' },
      el(
        'div',
        { class: 'who' },
        el('span', {}, t('you')),
        turn.over && this.#replay(turn, 'learner', replaying, turn.recording),
        chip && el('span', { class: 'chip', title: t('levelChip', { level: chip }) }, chip),
      ),
      words,
      doubts.length ? el('p', { class: 'unseen' }, t('doubtWords', { words: doubts.join(', ') })) : null,
      correctionNote(turn),
    );
  }

  #tutor(turn, replaying) {
    if (!turn.reply && (turn.over || !turn.said)) return null;
    return el(
      'div',
      { class: 'line tutor' },
      el(
        'div',
        { class: 'who' },
        el('span', {}, 'Parle'),
        turn.over && turn.marks.firstSound && this.#replay(turn, 'tutor', replaying, turn.pieces.length),
        this.#hooks.repeat().offered(turn) && this.#repeat(turn),
      ),
      turn.reply
        ? el('p', { class: 'reply', lang: 'pt-BR' }, turn.reply)
        : el('p', { class: 'reply waiting' }, ...dots(t('waitingReply'))),
      this.#hooks.repeat().note(turn),
      this.#hooks.timed() ? timingBar(turn) : null,
    );
  }

  #replay(turn, who, replaying, sound) {
    if (!sound) return turn.unheard && this.#unheard(turn, who);
    const playing = replaying?.turn === turn && replaying.who === who;
    const label = t(playing ? 'replayStop' : who === 'learner' ? 'replayLearner' : 'replayTutor');
    const onclick = () => this.#hooks.replay(turn, who);
    const attributes = { type: 'button', class: 'quiet', 'data-what': who, 'aria-label': label, title: label, onclick };
    return el('button', attributes, icon(playing ? 'stop' : 'play'));
  }

  #repeat(turn) {
    const label = t(turn.repeat?.state === 'asked' ? 'repeatStop' : 'repeatAfterMe');
    const onclick = () => this.#hooks.repeat().toggle(turn);
    const attributes = { type: 'button', class: 'quiet', 'data-what': 'repeat', 'aria-label': label, title: label, onclick };
    return el('button', attributes, icon(turn.repeat?.state === 'asked' ? 'close' : 'mic'));
  }

  /** In the place of a play button: not `disabled`, since a phone shows no titles and a tap tells why. */
  #unheard({ unheard }, who) {
    const why = t(unheard);
    const onclick = () => this.#hooks.unheard(unheard);
    const attributes = { type: 'button', class: 'quiet', 'data-what': who, 'aria-label': why, title: why, onclick };
    return el('button', { ...attributes, 'aria-disabled': 'true' }, icon('unheard'));
  }

  #note(turn) {
    const text = noteOf(turn);
    if (!text) return null;
    const again = turn.state === 'lost' || turn.state === 'unsaid' || WORTH_RESENDING.has(turn.error?.code);
    const onclick = () => this.#hooks.resend(turn);
    const button = el('button', { type: 'button', class: 'small', 'data-what': 'resend', onclick }, t('resend'));
    return el('div', { class: 'note' }, el('p', {}, text), again && turn.recording ? button : null);
  }

  /** Announce whole lines to screen readers once, instead of every delta. */
  #announce(turn) {
    const before = this.#announced.get(turn.id) ?? {};
    const reply = turn.marks.written ? turn.reply : '';
    const parts = corrected(turn.said, turn.correction);
    const correction = parts && `${parts.wrong} → ${parts.better}`;
    const now = { said: turn.said, correction, reply, note: noteOf(turn) };
    this.#announced.set(turn.id, now);
    const who = { said: t('you'), correction: t('correction'), reply: 'Parle', note: 'Parle' };
    for (const what of ['said', 'correction', 'reply', 'note']) {
      if (!now[what] || before[what] || (what === 'reply' && turn.pieces.length)) continue; // the reply is spoken already
      const text = el('span', what === 'note' ? {} : { lang: 'pt-BR' }, now[what]);
      byId('announcer').append(el('p', {}, `${who[what]}: `, text));
    }
    while (byId('announcer').childElementCount > 6) byId('announcer').firstElementChild.remove();
  }
}

function nearEnd() {
  return document.documentElement.scrollHeight - window.innerHeight - window.scrollY < NEAR_END;
}

/** The learner's words, those heard with doubt marked. */
function said(turn) {
  const text = el('p', { class: 'said', lang: 'pt-BR' });
  if (!turn.words.length) text.append(turn.said);
  for (const word of turn.words) {
    const node = el('span', {}, word.text.trim());
    if (doubtful(word)) {
      node.className = 'doubtful';
      node.title = t('doubtTitle');
    }
    text.append(node, ' ');
  }
  return text;
}

function waiting(label) {
  return label ? el('p', { class: 'said waiting' }, ...dots(label)) : null;
}

function dots(label) {
  const moving = el('span', { class: 'dots', 'aria-hidden': 'true' }, el('i'), el('i'), el('i'));
  return [moving, el('span', { class: 'unseen' }, label)];
}

function noteOf(turn) {
  if (turn.error) {
    const key = `error.${turn.error.code}`;
    return has(key) ? t(key) : t('error.unknown', { message: turn.error.message });
  }
  return ['stopped', 'lost', 'unsent', 'unsaid'].includes(turn.state) ? t(`note.${turn.state}`) : null;
}
