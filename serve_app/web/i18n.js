/** The page's texts in Portuguese and English. The conversation itself is Portuguese in both. */

import { en } from './texts_en.js';
import { pt } from './texts_pt.js';

const TEXTS = { pt, en };
export const LANGUAGES = Object.keys(TEXTS);

let language = 'pt';

/** The current language of the page. */
export function current() {
  return language;
}

/** The first of the browser's languages that the page has, or English. */
export function preferred() {
  const wanted = (navigator.languages ?? [navigator.language]).map((tag) => tag.slice(0, 2).toLowerCase());
  return wanted.find((tag) => LANGUAGES.includes(tag)) ?? 'en';
}

/** The text with that key; `{name}` in it is replaced. */
export function t(key, values = {}) {
  const text = TEXTS[language][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}

/** A place in a row: "2º", "2nd". */
export function ordinal(place) {
  const ending = { one: 'st', two: 'nd', few: 'rd', other: 'th' };
  return language === 'pt' ? `${place}º` : place + ending[new Intl.PluralRules('en', { type: 'ordinal' }).select(place)];
}

/** Whether there is a text with that key. */
export function has(key) {
  return key in TEXTS[language];
}

/** Seconds in the format of the language: "2,9 s". */
export function seconds(ms) {
  const digits = ms < 9950 ? 1 : 0;
  const format = new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${format.format(ms / 1000)} s`;
}

/** Switch the language of all elements with `data-i18n` (text) or `data-i18n-label` (aria-label). */
export function use(wanted) {
  language = LANGUAGES.includes(wanted) ? wanted : preferred();
  document.documentElement.lang = language === 'pt' ? 'pt-BR' : 'en';
  for (const node of document.querySelectorAll('[data-i18n]')) node.textContent = t(node.dataset.i18n);
  for (const node of document.querySelectorAll('[data-i18n-label]')) {
    node.setAttribute('aria-label', t(node.dataset.i18nLabel));
  }
}
