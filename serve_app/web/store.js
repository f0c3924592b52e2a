/**
 * What text is kept over a reload: choices permanently (localStorage), the conversation as long as the tab is open
 * (sessionStorage, so that two tabs are two conversations). Without storage the page works, but keeps nothing.
 * What the server keeps of the conversation is in kept.js.
 */

const CHOICES = 'parle.choices';
const LESSON = 'parle.lesson';
const TOKEN = 'parle.token';

export const DEFAULTS = Object.freeze({ voice: null, level: null, speed: 1, language: null, timing: false });

export function loadChoices() {
  return { ...DEFAULTS, ...read('localStorage', CHOICES) };
}

export function saveChoices(choices) {
  write('localStorage', CHOICES, choices);
}

/** What stands for the server's key; null if there is none. */
export function loadToken() {
  return read('localStorage', TOKEN);
}

export function saveToken(token) {
  write('localStorage', TOKEN, token);
}

/** `{session, turns}`; a new session if none is stored. */
export function loadLesson() {
  const kept = read('sessionStorage', LESSON);
  if (typeof kept?.session === 'string' && Array.isArray(kept.turns)) return kept;
  return { session: newKey(), turns: [] };
}

export function saveLesson(session, turns) {
  write('sessionStorage', LESSON, { session, turns });
}

/** A random name, for a session or a sound. Not randomUUID, which is missing on pages served over plain HTTP. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function read(storage, key) {
  try {
    return JSON.parse(window[storage].getItem(key));
  } catch {
    return null;
  }
}

function write(storage, key, value) {
  try {
    window[storage].setItem(key, JSON.stringify(value));
  } catch {
    // storage is full or forbidden: the conversation continues but is not kept
  }
}
