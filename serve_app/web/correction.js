/** A correction of the server: which words of the learner's sentence were wrong, and the better ones. */

import { el } from './dom.js';
import { explained, t } from './i18n.js';

const AROUND = 3; // words shown on each side, so that the place in the sentence is clear
const TOGETHER = '\u00a0'; // a space that does not end a line

/**
 * The sentence around the corrected words as `{before, wrong, better, after}`; null if there is nothing to show.
 *
 * `span` counts characters, as Python does. Where it does not fit the text, the words are looked up.
 */
export function corrected(text, correction) {
  const { said, better, shown, span } = correction ?? {};
  if (!shown || !said || !better || said === better) return null;
  const letters = [...text];
  let [start, end] = span ?? [-1, -1];
  if (letters.slice(start, end).join('') !== said) {
    const found = text.indexOf(said);
    if (found < 0) return { before: '', wrong: said, better, after: '' };
    start = [...text.slice(0, found)].length;
    end = start + [...said].length;
  }
  const before = letters.slice(0, start).join('').split(/\s+/).filter(Boolean);
  const after = letters.slice(end).join('').trimStart().split(/\s+/).filter(Boolean);
  return {
    before: (before.length > AROUND ? `…${TOGETHER}` : '') + before.slice(-AROUND).join(' '),
    wrong: said,
    better,
    after: after.slice(0, AROUND).join(' ') + (after.length > AROUND ? `${TOGETHER}…` : ''),
  };
}

/** The correction under the learner's line: wrong words struck, the better ones beside them, below it why. */
export function correctionNote(turn) {
  const parts = corrected(turn.said, turn.correction);
  if (!parts) return null;
  const why = explained(`rule.${turn.correction.rule}`);
  return el(
    'div',
    { class: 'correction' },
    el('span', { class: 'unseen' }, `${t('correction')}: `),
    el(
      'p',
      { lang: 'pt-BR' },
      parts.before && `${parts.before} `,
      el('del', {}, parts.wrong),
      ' ',
      el('ins', {}, parts.better),
      parts.after && (/^[.,;:!?]/.test(parts.after) ? parts.after : ` ${parts.after}`),
    ),
    turn.correction.message ? el('p', { class: 'message', lang: 'pt-BR' }, turn.correction.message) : null,
    why ? el('p', { class: 'message why' }, why) : null,
  );
}
