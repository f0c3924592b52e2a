/**
 * The key of a server that asks for one: asked for once, exchanged for a token, and only the token is kept.
 *
 * The token is renewed whenever the page connects, and every hour; see docs/wire.md, "Keys".
 */

import { byId } from './dom.js';
import { loadToken, saveToken } from './store.js';

const ANSWER_MS = 10_000;
const RENEW_MS = 3_600_000;

/** Headers of a request; none without a token. */
export function headers() {
  const token = loadToken();
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** Subprotocols of a WebSocket, which can carry no headers; none without a token. */
export function protocols() {
  const token = loadToken();
  return token ? ['parle', `parle.token.${token}`] : [];
}

/** A new token for the one that is kept; it stays as it is where the server does not answer. */
export async function renew() {
  if (!loadToken()) return;
  try {
    await exchange(loadToken());
  } catch {
    // the old one holds for some hours yet
  }
}

/** The dialog that asks for the key, open until the server has accepted one. */
export class KeyDialog {
  #dialog = byId('key');
  #accepted;

  /** @param {() => void} accepted called once there is a token */
  constructor(accepted) {
    this.#accepted = accepted;
    setInterval(renew, RENEW_MS);
    byId('key-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#try(byId('key-field').value.trim());
    });
    this.#dialog.addEventListener('cancel', (event) => event.preventDefault()); // nothing works without it
  }

  ask() {
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  async #try(key) {
    byId('key-wrong').hidden = true;
    try {
      await exchange(key);
    } catch {
      byId('key-wrong').hidden = false;
      byId('key-field').select();
      return;
    }
    byId('key-field').value = '';
    this.#dialog.close();
    this.#accepted();
  }
}

async function exchange(secret) {
  const answer = await fetch('api/token', {
    method: 'POST',
    headers: { Authorization: `Bearer ${secret}` },
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  if (!answer.ok) throw new Error('refused');
  saveToken((await answer.json()).token);
}
