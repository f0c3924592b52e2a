/** The page's texts in five languages. The conversation itself is Portuguese in all of them. */

import { de } from './texts_de.js';
import { en } from './texts_en.js';
import { es } from './texts_es.js';
import { fr } from './texts_fr.js';
import { pt } from './texts_pt.js';

export const TEXTS = { pt, en, es, fr, de };
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

/**
 * What explains something Portuguese to those who read another language: a correction (`rule.*`), a sentence
 * (`gloss.*`). '' on the page in Portuguese, which needs none.
 */
export function explained(key) {
  return TEXTS[language][key] ?? '';
}

const ENGLISH = { one: 'st', two: 'nd', few: 'rd', other: 'th' };
const ORDINALS = {
  pt: (place) => `${place}º`,
  en: (place) => place + ENGLISH[new Intl.PluralRules('en', { type: 'ordinal' }).select(place)],
  es: (place) => `${place}.º`,
  fr: (place) => (place === 1 ? '1er' : `${place}e`),
  de: (place) => `${place}`, // "Platz 2"
};

/** A place in a row: "2º", "2nd". */
export function ordinal(place) {
  return ORDINALS[language](place);
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

/** Switch the language of all elements with `data-i18n` (text), `data-explained` or `data-i18n-label` (aria-label). */
export function use(wanted) {
  language = LANGUAGES.includes(wanted) ? wanted : preferred();
  document.documentElement.lang = language === 'pt' ? 'pt-BR' : language;
  for (const node of document.querySelectorAll('[data-i18n]')) node.textContent = t(node.dataset.i18n);
  for (const node of document.querySelectorAll('[data-explained]')) node.textContent = explained(node.dataset.explained);
  for (const node of document.querySelectorAll('[data-i18n-label]')) {
    node.setAttribute('aria-label', t(node.dataset.i18nLabel));
  }
}
