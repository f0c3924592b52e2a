/** The timing bar of a turn: the phases of the wait by this client's clock, network included. */

import { el } from './dom.js';
import { seconds, t } from './i18n.js';

const PHASES = [
  ['heard', 'sent', 'arrived'],
  ['understood', 'arrived', 'understood'],
  ['thought', 'understood', 'firstWord'],
  ['sound', 'firstWord', 'firstSound'],
];

/** The phases of a turn in ms; null until the first sound has arrived. */
export function phases({ marks }) {
  if (PHASES.some(([, from, to]) => marks[from] === undefined || marks[to] === undefined)) return null;
  return PHASES.map(([name, from, to]) => ({ name, ms: Math.max(0, marks[to] - marks[from]) }));
}

/** The bar with its legend, as a `details` element; null while there is nothing to show. */
export function timingBar(turn) {
  const found = phases(turn);
  if (!found) return null;
  const bar = el('span', { class: 'bar', 'aria-hidden': 'true' });
  for (const { name, ms } of found) {
    const part = el('span', { class: `part ${name}` });
    part.style.setProperty('flex-grow', String(Math.max(ms, 1)));
    bar.append(part);
  }
  const total = seconds(found.reduce((sum, { ms }) => sum + ms, 0));
  const legend = el('ul', { class: 'legend' });
  for (const { name, ms } of found) {
    legend.append(
      el(
        'li',
        {},
        el('span', { class: `swatch ${name}`, 'aria-hidden': 'true' }),
        el('span', { class: 'phase' }, `${t(`timing.${name}`)} `),
        el('b', {}, seconds(ms)),
        el('span', { class: 'what' }, ` ${t(`timing.${name}What`)}`),
      ),
    );
  }
  return el(
    'details',
    { class: 'timing' },
    el('summary', { title: t('timingTitle') }, bar, el('span', { class: 'total' }, t('timing', { total }))),
    legend,
    turn.timing && el('p', { class: 'server' }, serverLine(turn.timing)),
  );
}

function serverLine(timing) {
  const of = (name) => seconds(timing[`${name}_ms`] ?? 0);
  const values = { stt: of('stt'), cefr: of('cefr'), llm: of('llm'), tts: of('tts'), total: of('total') };
  return t('timing.server', values);
}
