/**
 * Keeps the WebSocket of docs/wire.md open: asks /api/info first, reconnects after every loss, reports its state.
 *
 * States: `connecting`, `open` (the server has accepted the settings), `offline`, `restarting` and `full` (it retries by
 * itself), `noRoute` (this stack has no WebSocket, so it does not retry), `noKey` (it retries once there is a key).
 */

import { headers, protocols, renew } from './key.js';

const INFO_TIMEOUT_MS = 10_000; // it answers within a few seconds even while a stage is down
const WAITS_MS = [500, 1000, 2000, 4000, 8000];
const FULL_WAIT_MS = 5000;
const TRY_AGAIN_LATER = 1013;
const RESTARTING = 1012;
const NO_CLOSE_FRAME = 1006; // what held the socket has died
const RESTART_MS = 60_000; // so long a server that said it restarts may be away
const AGAIN = new Set(['offline', 'restarting', 'full', 'noKey']);
// After sleep or a change of network a socket may be dead without an error, so each message must be answered in time.
const ANSWER_MS = 30_000;
const OPEN_MS = 10_000;
const ALIVE_MS = 5000;

export class Connection {
  #hooks;
  #socket = null;
  #timer = 0;
  #answer = 0;
  #attempt = 0;
  #trying = false;
  #restartUntil = 0;
  state = 'connecting';
  /** The last answer of /api/info. */
  info = null;

  /**
   * @param {object} hooks
   * @param {() => object} hooks.hello the settings to send first
   * @param {(event: object) => void} hooks.event a text message
   * @param {(file: ArrayBuffer) => void} hooks.audio a binary message
   * @param {(state: string) => void} hooks.changed
   */
  constructor(hooks) {
    this.#hooks = hooks;
    window.addEventListener('online', () => this.retry());
    window.addEventListener('offline', () => this.#lost('offline'));
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.#wake());
    this.#connect();
  }

  get open() {
    return this.state === 'open';
  }

  /** Retry now; does nothing while it is open or being opened. */
  retry() {
    if (this.#trying || !AGAIN.has(this.state)) return;
    this.#attempt = 0;
    this.#connect();
  }

  /** Send one utterance. */
  send(recording) {
    this.#socket.send(recording);
    this.#expect(ANSWER_MS);
  }

  /** Ask /api/info again if it had no voices because the stage was still starting. */
  async refresh() {
    if (!this.open || this.info.voices?.length) return;
    try {
      this.info = await fetchInfo();
      this.#hooks.changed(this.state);
    } catch {
      // a lost connection is noticed elsewhere
    }
  }

  #wake() {
    if (!this.open) return this.retry();
    this.tell({ type: 'settings' });
    return this.#expect(ALIVE_MS);
  }

  #expect(within) {
    clearTimeout(this.#answer);
    this.#answer = setTimeout(() => this.#lost('offline'), within);
  }

  /** Send a command, such as `{type: 'cancel'}`; dropped without a connection. */
  tell(command) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(command));
  }

  async #connect() {
    clearTimeout(this.#timer);
    if (this.#attempt === 0) this.#set('connecting'); // on a retry it stays `offline`, so that the page does not flicker
    this.#trying = true;
    try {
      this.info = await fetchInfo();
    } catch (error) {
      if (error instanceof NoKey) {
        this.#trying = false;
        this.#set('noKey');
      } else {
        const back = error instanceof NotYet && this.info !== null; // something of it answers: the rest will come
        this.#again(back || performance.now() < this.#restartUntil ? 'restarting' : 'offline');
      }
      return;
    }
    renew();
    if (!this.info.routes.includes('websocket')) {
      this.#trying = false;
      this.#set('noRoute');
      return;
    }
    const address = new URL('ws/stream', document.baseURI);
    address.protocol = address.protocol.replace('http', 'ws');
    const socket = new WebSocket(address, protocols());
    socket.binaryType = 'arraybuffer'; // a Blob is read asynchronously, so events would overtake their audio
    socket.onopen = () => this.tell({ type: 'settings', ...this.#hooks.hello() });
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = ({ code }) => this.#closed(code);
    this.#socket = socket;
    this.#expect(OPEN_MS);
  }

  #take(data) {
    clearTimeout(this.#answer);
    if (data instanceof ArrayBuffer) {
      this.#hooks.audio(data);
      return;
    }
    const event = JSON.parse(data);
    if (event.event === 'settings' && !this.open) {
      this.#attempt = 0;
      this.#trying = false;
      this.#restartUntil = 0;
      this.#set('open');
    }
    this.#hooks.event(event);
  }

  #closed(code) {
    if (code === RESTARTING) this.#restartUntil = performance.now() + RESTART_MS;
    if (code === TRY_AGAIN_LATER) this.#lost('full');
    else this.#lost(code === RESTARTING || (code === NO_CLOSE_FRAME && this.open) ? 'restarting' : 'offline');
  }

  #lost(state) {
    clearTimeout(this.#answer);
    if (!this.#socket) return; // still asking /api/info, or already waiting to retry
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
    this.#again(state);
  }

  #again(state) {
    this.#trying = false;
    this.#set(state);
    const wait = state === 'full' ? FULL_WAIT_MS : WAITS_MS[Math.min(this.#attempt, WAITS_MS.length - 1)];
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.#connect(), wait * (0.8 + 0.4 * Math.random()));
  }

  #set(state) {
    if (this.state === state) return;
    this.state = state;
    this.#hooks.changed(state);
  }
}

/** The server asks for a key, and there is none or no longer. */
class NoKey extends Error {}

/** Something answers in place of the server, which has not started yet. */
class NotYet extends Error {}

async function fetchInfo() {
  const signal = AbortSignal.timeout(INFO_TIMEOUT_MS);
  const answer = await fetch('api/info', { cache: 'no-store', headers: headers(), signal });
  if (answer.status === 401) throw new NoKey();
  if (!answer.ok) throw new NotYet();
  const info = await answer.json();
  if (!Array.isArray(info.routes)) throw new Error('not Parle');
  return info;
}
