/** Shows what prevents a conversation and what to do about it: one notice, the most urgent one. */

import { byId, el } from './dom.js';
import { t } from './i18n.js';

// Connection notices stay until it is back; microphone notices until the next try or a click.
const CONNECTION = { offline: 'retry', restarting: 'retry', full: 'retry', noRoute: 'reload' };

export class Notices {
  #connection = null;
  #microphone = null;
  #stopping = false;
  #retry;
  #stay;

  /**
   * @param {() => void} retry called when the learner wants to reconnect now
   * @param {() => void} stay called when the learner wants the server to keep running
   */
  constructor(retry, stay) {
    this.#retry = retry;
    this.#stay = stay;
  }

  connection(state) {
    const kind = state in CONNECTION ? state : null;
    if (kind === this.#connection) return;
    this.#connection = kind;
    this.#stopping = false;
    this.draw();
  }

  /** @param {boolean} soon whether the server is about to stop because it is idle */
  stopping(soon) {
    if (soon === this.#stopping) return;
    this.#stopping = soon;
    this.draw();
  }

  /** @param {string|null} kind why there is no recording; null if there is one */
  microphone(kind) {
    if (kind === null && this.#microphone === null) return;
    this.#microphone = kind;
    this.draw();
  }

  draw() {
    const place = byId('notice');
    const kind = this.#microphone ?? (this.#stopping ? 'stopping' : this.#connection);
    place.hidden = !kind;
    place.dataset.kind = kind ?? '';
    if (!kind) {
      place.replaceChildren();
      return;
    }
    const port = window.location.port || '8000';
    place.replaceChildren(
      el('p', { class: 'what' }, t(`notice.${kind}`)),
      el('p', {}, t(`notice.${kind}What`, { port })),
      this.#button(kind),
    );
  }

  #button(kind) {
    const action = kind === 'stopping' ? 'stay' : (CONNECTION[kind] ?? 'dismiss');
    const does = {
      stay: () => this.#stay(),
      retry: () => this.#retry(),
      reload: () => window.location.reload(),
      dismiss: () => {
        this.microphone(null);
        byId('talk').focus();
      },
    };
    return el('button', { type: 'button', class: 'small', onclick: does[action] }, t(action));
  }
}
