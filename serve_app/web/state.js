/** The state of the page in one word: for the dock, style.css and tests. */

const TALKING = { opening: 'opening', recording: 'listening', finishing: 'sending' };
const RUNNING = { sent: 'sending', stt: 'understanding' };

/**
 * connecting, offline, restarting, full, noRoute, noKey; ready, opening, listening, sending, queued, understanding,
 * thinking, speaking.
 */
export function pageState(talk, lesson, player, connection) {
  if (talk.talking()) return TALKING[talk.state];
  const turn = lesson.running?.stopping ? null : lesson.running;
  if (player.playing || turn?.marks.firstSound) return 'speaking';
  if (!connection.open) return connection.state;
  if (turn?.place) return 'queued';
  return turn ? (RUNNING[turn.state] ?? 'thinking') : 'ready';
}

/** `window.parle`, read-only, for tests and debugging. */
export function expose(state, player, lesson) {
  const parle = {
    get state() {
      return state();
    },
    /** Audible samples given to the audio graph so far. */
    get samplesPlayed() {
      return player.samplesPlayed;
    },
    get turns() {
      return lesson.saved();
    },
  };
  Object.defineProperty(window, 'parle', { value: Object.freeze(parle) });
}
