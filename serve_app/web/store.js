/**
 * What outlives the page: choices for good (localStorage), the conversation for as long as the tab lives
 * (sessionStorage, so that two tabs are two conversations). A browser that forbids both loses only that.
 */

const CHOICES = 'parle.choices';
const LESSON = 'parle.lesson';

export const DEFAULTS = Object.freeze({ voice: null, level: null, speed: 1, language: null });

export function loadChoices() {
  return { ...DEFAULTS, ...read('localStorage', CHOICES) };
}

export function saveChoices(choices) {
  write('localStorage', CHOICES, choices);
}

/** `{session, turns}`; a new session where there is none. */
export function loadLesson() {
  const kept = read('sessionStorage', LESSON);
  if (typeof kept?.session === 'string' && Array.isArray(kept.turns)) return kept;
  return { session: newSession(), turns: [] };
}

export function saveLesson(session, turns) {
  write('sessionStorage', LESSON, { session, turns });
}

/** Not randomUUID: that one is missing where the page came over plain HTTP. */
export function newSession() {
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
    // full or forbidden: the lesson goes on, and ends with the page
  }
}
