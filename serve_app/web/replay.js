/** Replays a line: the learner's own recording, or the pieces of the tutor's answer. */

export class Replay {
  #player;
  #show;
  #failed;
  /** The line being played: `{turn, who}`, or null. */
  line = null;

  /**
   * @param {import('./player.js').Player} player
   * @param {(turn) => void} show redraws the turn, whose button becomes a stop button and back
   * @param {() => void} failed called if the browser cannot decode its own recording
   */
  constructor(player, show, failed) {
    this.#player = player;
    this.#show = show;
    this.#failed = failed;
  }

  is(turn, who) {
    return this.line?.turn === turn && this.line.who === who;
  }

  /** @param {'learner'|'tutor'} who */
  async begin(turn, who) {
    const line = { turn, who };
    this.line = line;
    const decoding = who === 'tutor' ? turn.pieces.map((file) => this.#player.bufferOf(file)) : this.#player.decode(turn.recording).then((sound) => [sound]);
    const pieces = await Promise.resolve(decoding).catch(() => []); // a browser may fail to decode its own recording
    if (this.line !== line) return; // something else started meanwhile
    if (!pieces.length) {
      this.line = null;
      this.#failed();
    }
    pieces.forEach((piece) => this.#player.play(piece));
    this.#show(turn);
  }

  /** Say the tutor's answer again, slowly. */
  async slowly(turn) {
    this.line = { turn, who: 'tutor' };
    this.#show(turn);
    if (!(await this.#player.playSlowly(turn.pieces))) this.#failed();
  }

  /** Called when the line has ended, or something else is to be played. */
  end() {
    const { line } = this;
    this.line = null;
    if (line) this.#show(line.turn);
  }
}
