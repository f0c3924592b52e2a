/** The settings dialog: voice, level, speed, language, a new conversation, deleting this one. */

import { byId, el } from './dom.js';
import { current, t } from './i18n.js';
import { LEVELS } from './level.js';

const SLOW = 0.7;

export class Settings {
  #choices;
  #hooks;
  #dialog = byId('settings');

  /**
   * @param {object} choices as store.js keeps them; changed in place
   * @param {{changed: (name: string) => void, restart: () => void, forget: () => void, slower: () => void, opened: () => void}} hooks
   */
  constructor(choices, hooks) {
    this.#choices = choices;
    this.#hooks = hooks;
    byId('open-settings').addEventListener('click', () => {
      this.#dialog.showModal();
      hooks.opened();
    });
    byId('close-settings').addEventListener('click', () => this.#dialog.close());
    this.#dialog.addEventListener('click', (event) => event.target === this.#dialog && this.#dialog.close());
    byId('voice').addEventListener('change', (event) => this.#change('voice', event.target.value || null));
    byId('level-choice').addEventListener('change', (event) => this.#change('level', event.target.value || null));
    for (const radio of document.querySelectorAll('[name=speed]')) {
      radio.addEventListener('change', () => this.#change('speed', Number(radio.value)));
    }
    byId('language').addEventListener('change', (event) => this.#change('language', event.target.value));
    byId('timing-choice').addEventListener('change', (event) => this.#change('timing', event.target.checked));
    byId('slow').addEventListener('click', () => {
      this.#change('speed', choices.speed === SLOW ? 1 : SLOW);
      hooks.slower();
    });
    byId('restart').addEventListener('click', () => {
      this.#dialog.close();
      hooks.restart();
    });
    byId('forget').addEventListener('click', () => {
      this.#dialog.close();
      hooks.forget();
    });
  }

  /** Show the current choices; `voices` are the server's, null while unknown. */
  draw(voices) {
    const { voice, level, speed } = this.#choices;
    const names = [...new Set([...(voices ?? []), ...(voice ? [voice] : [])])];
    const options = names.map((name) => el('option', { value: name }, voiceName(name)));
    byId('voice').replaceChildren(el('option', { value: '' }, t('voiceDefault')), ...options);
    byId('voice').value = voice ?? '';
    const levels = LEVELS.map((name) => el('option', { value: name }, t(`levelName.${name}`)));
    byId('level-choice').replaceChildren(el('option', { value: '' }, t('levelAuto')), ...levels);
    byId('level-choice').value = level ?? '';
    for (const radio of document.querySelectorAll('[name=speed]')) radio.checked = Number(radio.value) === speed;
    byId('language').value = current();
    byId('timing-choice').checked = this.#choices.timing;
    byId('slow').setAttribute('aria-pressed', String(speed === SLOW));
  }

  #change(name, value) {
    this.#choices[name] = value;
    this.#hooks.changed(name);
  }
}

/** Kokoro's voices are named `pf_dora`: language, f or m, name. Other engines' names stay as they are. */
function voiceName(name) {
  const kokoro = /^[a-z][fm]_([a-z]+)$/.exec(name);
  return kokoro ? kokoro[1][0].toUpperCase() + kokoro[1].slice(1) : name;
}
