// The page's texts: every language says everything, in its own words.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

globalThis.document = { documentElement: {}, querySelectorAll: () => [] };
const { explained, has, LANGUAGES, ordinal, t, TEXTS, use } = await import('../../serve_app/web/i18n.js');

const EXPLAINS = /^(rule|gloss)\./; // what the page in Portuguese does not need
const RULES = new URL('../../serve_app/data/teaching/error_rules.json', import.meta.url);

// Words that sentences of a language can hardly do without. Those that two of them have tell nothing, and do not count.
const OWN = {
  pt: 'não uma você seu sua do da dos das em os um ou ao aos muito muita isto quem ouvir seguir tempo ainda falou fale diga frase frases fica numa em conexão correção senão isso estou falar palavras erro estão nível com e o à é novo envie toque sem gravação demais está',
  en: 'the is are of and to this that you your not with what from for was say how who hear keep again then they have by its everything words when sentence it',
  es: 'el la los las y en del al lo te se con quien más muy hay tú estás fue hasta otra una palabras frases hacer ayer aquí sigue habla fui nuevo oí solo cómo está es su',
  fr: 'le les et des du est sont tu ton ta je ce cette ne pas dans avec pour au aux sur ou à en un une la ils nous reconnexion',
  de: 'der die das den dem des ein eine einen und ist sind nicht du dein deine dir ich es zu auf mit von für was wie noch wer bis im bei zum',
};
const WORDS = Object.values(OWN).flatMap((words) => [...new Set(words.split(' '))]);
const SHARED = new Set(WORDS.filter((word, place) => WORDS.indexOf(word) !== place));

/** How many words of a text only that language has. Quoted words are Portuguese everywhere. */
function own(language, text) {
  const plain = text.replace(/[“„«][^”“»]*[”“»]/g, ' ').toLowerCase();
  const mine = new Set(OWN[language].split(' ').filter((word) => !SHARED.has(word)));
  return (plain.match(/\p{L}+/gu) ?? []).filter((word) => mine.has(word)).length;
}

/** Whether a text of one language reads like another: at least two of its words, and more than of its own. */
function readsLike(other, language, text) {
  const there = own(other, text);
  return there >= 2 && there > own(language, text);
}

test('every language has every text, with the same values in it', () => {
  assert.deepEqual(LANGUAGES, ['pt', 'en', 'es', 'fr', 'de']);
  const explained = Object.keys(TEXTS.en).filter((key) => EXPLAINS.test(key));
  const values = (text) => (text.match(/\{\w+\}/g) ?? []).sort();
  for (const [language, texts] of Object.entries(TEXTS)) {
    const wanted = [...Object.keys(TEXTS.pt), ...(language === 'pt' ? [] : explained)];
    assert.deepEqual(Object.keys(texts).sort(), wanted.sort(), language);
    for (const [key, text] of Object.entries(texts)) {
      assert.ok(text.trim(), `${language} ${key}`);
      assert.deepEqual(values(text), values(TEXTS.en[key]), `${language} ${key}`);
    }
  }
});

test('no text was left in another language', () => {
  const left = [];
  for (const [language, texts] of Object.entries(TEXTS)) {
    for (const [key, text] of Object.entries(texts)) {
      for (const other of LANGUAGES.filter((name) => name !== language)) {
        const same = text === TEXTS[other][key] && text.includes(' ');
        const told = key.startsWith('rule.') ? text.split(':')[0] : text; // Portuguese examples follow
        if (same || readsLike(other, language, told)) left.push(`${key} in ${language} reads like ${other}: ${text}`);
      }
    }
  }
  assert.deepEqual(left, []);
});

test('a text that was left in another language is found', () => {
  const long = Object.keys(TEXTS.pt).filter((key) => TEXTS.pt[key].split(' ').length >= 8);
  const pairs = LANGUAGES.flatMap((one) => LANGUAGES.filter((other) => other !== one).map((other) => [one, other]));
  for (const [language, other] of pairs) {
    const found = long.filter((key) => readsLike(other, language, TEXTS[other][key]));
    assert.ok(found.length > 0.75 * long.length, `${other} left in ${language}: ${found.length} of ${long.length}`);
  }
});

test('the rules of the corrections are explained in every language but Portuguese', () => {
  const { messages } = JSON.parse(readFileSync(RULES, 'utf-8'));
  for (const language of LANGUAGES) {
    use(language);
    for (const rule of Object.keys(messages)) assert.equal(Boolean(explained(`rule.${rule}`)), language !== 'pt', rule);
    assert.equal(explained('rule.none'), '');
  }
  const rules = Object.keys(TEXTS.en).filter((key) => key.startsWith('rule.'));
  assert.equal(rules.length, Object.keys(messages).length);
});

test('the language is the one asked for, or the first of the browser that the page has', () => {
  const browser = (...languages) => Object.defineProperty(globalThis, 'navigator', { value: { languages }, configurable: true });
  const shown = () => [document.documentElement.lang, t('close')];
  browser('ja-JP', 'de-AT', 'en');
  use(null);
  assert.deepEqual(shown(), ['de', 'Schließen']);
  use('fr');
  assert.deepEqual(shown(), ['fr', 'Fermer']);
  browser('pt-PT');
  use('none');
  assert.deepEqual(shown(), ['pt-BR', 'Fechar']);
  browser('ja-JP');
  use(null);
  assert.deepEqual(shown(), ['en', 'Close']);
  assert.equal(has('gloss.name'), true);
});

test('places in the queue are told as each language does', () => {
  const places = LANGUAGES.map((language) => {
    use(language);
    return [1, 2].map((place) => t('state.queued', { place: ordinal(place) }));
  });
  assert.deepEqual(places, [
    ['1º na fila', '2º na fila'],
    ['1st in the queue', '2nd in the queue'],
    ['1.º en la cola', '2.º en la cola'],
    ['1er dans la file', '2e dans la file'],
    ['Platz 1 in der Schlange', 'Platz 2 in der Schlange'],
  ]);
});

test('French has no line that begins with a mark or ends with an opening quote', () => {
  for (const [key, text] of Object.entries(TEXTS.fr)) assert.doesNotMatch(text, / [?!:;»]|« /, key);
});
