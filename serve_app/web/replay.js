/** Hearing a line again: the learner's own recording, or the pieces of the tutor's answer. */

export class Replay {
  #player;
  #show;
  /** The line being played: `{turn, who}`, or null. */
  line = null;

  /**
   * @param {import('./player.js').Player} player
   * @param {(turn) => void} show draws the turn again: its button turns into a stop button and back
   */
  constructor(player, show) {
    this.#player = player;
    this.#show = show;
  }

  is(turn, who) {
    return this.line?.turn === turn && this.line.who === who;
  }

  /** @param {'learner'|'tutor'} who */
  async begin(turn, who) {
    const line = { turn, who };
    this.line = line;
    const decoding = who === 'tutor' ? turn.pieces : this.#player.decode(turn.recording).then((sound) => [sound]);
    const pieces = await Promise.resolve(decoding).catch(() => []); // a browser may not read what it has written
    if (this.line !== line) return; // something else began in the meantime
    if (!pieces.length) this.line = null;
    pieces.forEach((piece) => this.#player.play(piece));
    this.#show(turn);
  }

  /** It is over, or something else wants to be heard. */
  end() {
    const { line } = this;
    this.line = null;
    if (line) this.#show(line.turn);
  }
}
