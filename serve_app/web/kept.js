/** The conversation as the server keeps it: read after a reload or a restart of the server, deleted when asked to. */

import { headers } from './key.js';
import { KEPT, Turn } from './lesson.js';

const ANSWER_MS = 10_000;
const STATES = { complete: 'done', failed: 'failed', interrupted: 'stopped', running: 'stopped' };

/** The turns of a session that the server has; [] where it has none, or does not answer. */
export async function fetchTurns(session) {
  try {
    const answer = await ask('GET', session);
    return answer.ok ? (await answer.json()).turns : [];
  } catch {
    return [];
  }
}

/** Delete the conversation on the server. Returns whether it is gone. */
export async function deleteConversation(session) {
  try {
    const answer = await ask('DELETE', session);
    return answer.ok || answer.status === 404;
  } catch {
    return false;
  }
}

/**
 * The turns of this page and those that the server has, in order. A turn that both have is this page's, with what it
 * missed; `running` is the one that is still being answered, which the page knows better.
 */
export function merged(turns, kept, running = null) {
  const rest = [...turns];
  const all = [];
  for (const server of kept) {
    if (running && server.state === 'running') continue;
    let at = rest.findIndex((turn) => turn !== running && turn.said === server.transcript);
    if (at < 0 && cutOff(rest[0])) at = 0;
    if (at < 0) {
      all.push(Object.assign(new Turn(), fields(server)));
      continue;
    }
    all.push(...rest.splice(0, at));
    const turn = rest.shift();
    const again = turn.state === 'lost' && server.state !== 'complete'; // it can still be sent again
    if (turn.state !== 'done') Object.assign(turn, fields(server), again ? { state: 'lost' } : {});
    all.push(turn);
  }
  const numbered = [...all, ...rest].slice(-KEPT);
  for (const [index, turn] of numbered.entries()) turn.id = index + 1;
  return numbered;
}

/** A turn that was sent, and whose transcript never came. */
function cutOff(turn) {
  return turn && !turn.said && (turn.state === 'stopped' || turn.state === 'lost');
}

function fields({ state, transcript, words, level, correction, reply, error, timing }) {
  return {
    state: STATES[state] ?? 'stopped',
    said: transcript,
    words: words ?? [],
    level,
    correction,
    reply,
    error: error ? { code: error, message: error } : null,
    timing,
  };
}

function ask(method, session) {
  const signal = AbortSignal.timeout(ANSWER_MS);
  return fetch(`api/sessions/${encodeURIComponent(session)}`, { method, cache: 'no-store', headers: headers(), signal });
}
