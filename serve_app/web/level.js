/** The level estimate over time: a position on the scale with a confidence band. */

import { byId, el, svg } from './dom.js';
import { t } from './i18n.js';

export const LEVELS = ['A1', 'A2', 'B1', 'B2', 'C1', 'C2'];

const SHOWN = 12; // number of estimates: about as many as the next one is based on
const [WIDTH, HEIGHT, LEFT, RIGHT, EDGE] = [320, 132, 30, 12, 6];
const ROW = (HEIGHT - 2 * EDGE) / LEVELS.length;

/** The quantile `q` of the probabilities, on a scale where each level is one wide: 0 (A1) to 6. */
export function quantile(probabilities, q) {
  let below = 0;
  for (const [index, level] of LEVELS.entries()) {
    const here = probabilities[level] ?? 0;
    if (here > 0 && below + here >= q) return index + Math.min(1, Math.max(0, (q - below) / here));
    below += here;
  }
  return LEVELS.length;
}

/** The estimates in the turns' level events, oldest first, without the empty ones. */
export function estimates(turns) {
  return turns
    .map((turn) => turn.level)
    .filter((level) => level?.estimate && Object.keys(level.probabilities ?? {}).length)
    .map((level) => ({
      ...level,
      low: quantile(level.probabilities, 0.1),
      middle: quantile(level.probabilities, 0.5),
      high: quantile(level.probabilities, 0.9),
    }));
}

/** Draw the card for these turns; hide it while there is no estimate. */
export function drawLevel(turns) {
  const all = estimates(turns);
  const card = byId('level');
  card.hidden = all.length === 0;
  if (card.hidden) return;
  const now = all.at(-1);
  const [low, high] = [levelAt(now.low), levelAt(now.high)];
  const values = { level: now.estimate, low, high };
  byId('level-now').textContent = now.estimate;
  byId('level-words').replaceChildren(
    el('p', { class: 'meaning' }, t(`levelMeans.${now.estimate}`)),
    el('p', { class: 'next' }, t(`levelNext.${now.estimate}`)),
    low === high ? '' : el('p', { class: 'rests' }, t('levelBetween', values)),
    now.fixed ? el('p', { class: 'rests' }, t('levelFixed', { level: now.level })) : '',
  );
  byId('level-chart').replaceChildren(chart(all.slice(-SHOWN), t('levelChart', { ...values, count: all.length })));
}

function chart(points, label) {
  const drawn = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label });
  for (const [index, level] of LEVELS.entries()) {
    const middle = y(index + 0.5);
    drawn.append(
      svg('line', { class: 'row', x1: LEFT, x2: WIDTH - RIGHT, y1: middle, y2: middle }),
      svg('text', { class: 'label', x: 0, y: middle, dy: '0.35em' }, level),
    );
  }
  const at = points.map((point, index) => ({ ...point, x: x(index, points.length) }));
  if (at.length > 1) {
    const upper = at.map(({ x: left, high }) => `${left},${y(high)}`);
    const lower = at.map(({ x: left, low }) => `${left},${y(low)}`).reverse();
    drawn.append(
      svg('polygon', { class: 'band', points: [...upper, ...lower].join(' ') }),
      svg('polyline', { class: 'line', points: at.map(({ x: left, middle }) => `${left},${y(middle)}`).join(' ') }),
    );
  }
  for (const [index, point] of at.entries()) {
    const last = index === at.length - 1;
    const top = y(point.high);
    if (last) {
      drawn.append(
        svg('rect', { class: 'doubt', x: point.x - 5, width: 10, y: top, height: y(point.low) - top, rx: 5 }),
      );
    }
    const look = last ? { class: 'dot last', r: 5 } : { class: 'dot', r: 2.5 };
    drawn.append(svg('circle', { ...look, cx: point.x, cy: y(point.middle) }));
  }
  return drawn;
}

/** The newest estimate is on the right; a few estimates are not stretched over the whole width. */
function x(index, count) {
  const steps = Math.max(count - 1, 5);
  const start = LEFT + 14;
  return start + ((WIDTH - RIGHT - 10 - start) * index) / steps;
}

function y(place) {
  return HEIGHT - EDGE - place * ROW;
}

function levelAt(place) {
  return LEVELS[Math.min(LEVELS.length - 1, Math.max(0, Math.floor(place)))];
}
