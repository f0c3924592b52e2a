/** The page in Portuguese and English. What the learner and the tutor say is Portuguese in both. */

import { en } from './texts_en.js';
import { pt } from './texts_pt.js';

const TEXTS = { pt, en };
export const LANGUAGES = Object.keys(TEXTS);

let language = 'pt';

/** The language of the page now. */
export function current() {
  return language;
}

/** The first of the browser's languages that the page has; English for everyone else. */
export function preferred() {
  const wanted = (navigator.languages ?? [navigator.language]).map((tag) => tag.slice(0, 2).toLowerCase());
  return wanted.find((tag) => LANGUAGES.includes(tag)) ?? 'en';
}

/** The text named `key`; `{name}` in it is replaced. */
export function t(key, values = {}) {
  const text = TEXTS[language][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}

/** Whether there is a text of that name. */
export function has(key) {
  return key in TEXTS[language];
}

/** Seconds as one reads them: "2,9 s". */
export function seconds(ms) {
  const digits = ms < 9950 ? 1 : 0;
  const format = new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${format.format(ms / 1000)} s`;
}

/** A share as one reads it: "64 %". */
export function percent(share) {
  return new Intl.NumberFormat(language, { style: 'percent' }).format(share);
}

/** Switch the page: everything in it that carries `data-i18n` (text) or `data-i18n-label` (aria-label). */
export function use(wanted) {
  language = LANGUAGES.includes(wanted) ? wanted : preferred();
  document.documentElement.lang = language === 'pt' ? 'pt-BR' : 'en';
  for (const node of document.querySelectorAll('[data-i18n]')) node.textContent = t(node.dataset.i18n);
  for (const node of document.querySelectorAll('[data-i18n-label]')) {
    node.setAttribute('aria-label', t(node.dataset.i18nLabel));
  }
}
