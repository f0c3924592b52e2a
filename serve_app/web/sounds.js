/**
 * Keeps the sound of the last turns over a reload: the learner's recording and the pieces of the answer.
 *
 * In IndexedDB, because sessionStorage holds only text and too little of it. Tabs share it: of all their turns the
 * newest are kept, within a number of turns, a size and an age. A browser that forbids it (some private windows do)
 * keeps nothing, and the page works without.
 */

const DATABASE = 'parle';
const STORE = 'sounds';
const AGE = 'age'; // the index [at, bytes]: its keys tell what to drop, without loading any sound
const DAY_MS = 86_400_000;

export const LIMITS = Object.freeze({ turns: 30, bytes: 20_000_000, ms: DAY_MS });

export class Sounds {
  #limits;
  #database = null;
  #last = Promise.resolve(); // what is asked for is done in that order

  /** @param {{turns: number, bytes: number, ms: number}} limits what is kept at most */
  constructor(limits = LIMITS) {
    this.#limits = limits;
  }

  /**
   * Keep a turn's sound, or replace what is kept of it.
   * @param {string} session whose turn it is, for `forget`
   * @param {{sound: string, recording: Blob, pieces: ArrayBuffer[]}} turn `sound` is the key
   */
  keep(session, { sound, recording, pieces }) {
    const kept = { key: sound, session, type: recording.type, pieces: [...pieces], at: Date.now() };
    return this.#next(async (database) => {
      kept.recording = await recording.arrayBuffer(); // some versions of Safari cannot store Blobs
      kept.bytes = [kept.recording, ...kept.pieces].reduce((sum, { byteLength }) => sum + byteLength, 0);
      const store = database.transaction(STORE, 'readwrite').objectStore(STORE);
      store.put(kept);
      await this.#prune(store);
    });
  }

  /** The sounds with these keys, as a Map of key to `{recording, pieces}`; null if this browser keeps none. */
  load(keys) {
    return this.#next(async (database) => {
      const store = database.transaction(STORE, 'readwrite').objectStore(STORE);
      await this.#prune(store);
      const found = await Promise.all(keys.map((key) => answered(store.get(key))));
      const sounds = new Map();
      for (const { key, recording, type, pieces } of found.filter(Boolean)) {
        sounds.set(key, { recording: new Blob([recording], { type }), pieces });
      }
      return sounds;
    });
  }

  /** Drop all the sounds of a session. */
  forget(session) {
    return this.#next(async (database) => {
      const store = database.transaction(STORE, 'readwrite').objectStore(STORE);
      await eachKey(store.index('session'), (cursor) => cursor.key === session && store.delete(cursor.primaryKey));
    });
  }

  /** Drop what goes beyond the limits, the oldest first. */
  async #prune(store) {
    const { turns, bytes, ms } = this.#limits;
    const oldest = Date.now() - ms;
    let [count, sum] = [0, 0];
    await eachKey(store.index(AGE), ({ key: [at, size], primaryKey }) => {
      count += 1;
      sum += size;
      if (count > turns || sum > bytes || at < oldest) store.delete(primaryKey);
    });
  }

  /** The result of `work` after all that was asked for before; null if the browser refuses. */
  #next(work) {
    const result = this.#last.then(async () => {
      try {
        this.#database ??= await open();
        return await work(this.#database);
      } catch {
        return null; // no IndexedDB, no room, or closed for a newer page
      }
    });
    this.#last = result;
    return result;
  }
}

async function open() {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => {
    const store = request.result.createObjectStore(STORE, { keyPath: 'key' });
    store.createIndex(AGE, ['at', 'bytes']);
    store.createIndex('session', 'session');
  };
  const database = await answered(request);
  database.onversionchange = () => database.close();
  return database;
}

function answered(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Call `each` with a cursor at every key of an index, the last first; the values are not loaded. */
function eachKey(index, each) {
  return new Promise((resolve, reject) => {
    const request = index.openKeyCursor(null, 'prev');
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor) {
        resolve();
        return;
      }
      each(cursor);
      cursor.continue();
    };
  });
}
