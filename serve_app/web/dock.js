/** The dock at the bottom of the page: the state in words, and the buttons. */

import { byId } from './dom.js';
import { has, ordinal, t } from './i18n.js';

const FLASH_MS = 5000;
const QUIET = new Set(['listening', 'speaking']);

export class Dock {
  #flash = null; // a message shown for a few seconds instead of the usual hint
  #timer = 0;
  #drawn = ['connecting', false, 0];

  /** Show a temporary message, such as that a recording was too short. */
  say(key) {
    clearTimeout(this.#timer);
    this.#flash = key;
    this.#timer = setTimeout(() => {
      this.#flash = null;
      this.draw(...this.#drawn);
    }, FLASH_MS);
    this.draw(...this.#drawn);
  }

  /**
   * @param {string} state of the page; style.css uses it as `data-state` of the body
   * @param {boolean} busy whether there is an answer to stop
   * @param {number} place in the queue of a full server
   */
  draw(state, busy, place) {
    this.#drawn = [state, busy, place];
    document.body.dataset.state = state;
    // A screen reader must not speak into the open microphone or over the tutor.
    byId('state').parentNode.setAttribute('aria-live', QUIET.has(state) ? 'off' : 'polite');
    write(byId('state'), t(`state.${state}`, { place: ordinal(place) }));
    const hint = this.#flash ?? `hint.${state}`;
    write(byId('hint'), has(hint) ? t(hint) : '');
    const talk = byId('talk');
    talk.setAttribute('aria-label', t(state === 'listening' ? 'talkStop' : 'talkButton'));
    talk.setAttribute('aria-disabled', String(state === 'noRoute' || state === 'noKey'));
    const dropping = state === 'listening' || state === 'opening';
    const stop = byId('stop');
    const idle = !dropping && !busy;
    if (idle && document.activeElement === stop) talk.focus();
    stop.disabled = idle;
    write(byId('stop-label'), t(dropping ? 'discard' : 'stop'));
  }
}

/** Write only what changed, because a screen reader speaks everything written to a live region. */
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
