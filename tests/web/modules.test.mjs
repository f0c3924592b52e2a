// The parts of the page that need no browser: which turn an event belongs to, WAV files, the level's band.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { corrected } from '../../serve_app/web/correction.js';
import { el } from '../../serve_app/web/dom.js';
import { merged } from '../../serve_app/web/kept.js';
import { Lesson } from '../../serve_app/web/lesson.js';
import { quantile } from '../../serve_app/web/level.js';
import { pageState } from '../../serve_app/web/state.js';
import { lastSentence, Repeat } from '../../serve_app/web/repeat.js';
import { phases } from '../../serve_app/web/timing.js';
import { audibleSamples, parseWav } from '../../serve_app/web/wav.js';

const STT = { event: 'status', stage: 'stt' };
const LLM = { event: 'status', stage: 'llm' };
const CANCELLED = { event: 'cancelled' };
const COMPLETE = { event: 'complete', timing: { total_ms: 3000 } };
const heard = (transcript) => ({ event: 'transcript', transcript, words: [] });
const delta = (text) => ({ event: 'delta', text });
const error = (code) => ({ event: 'error', code, message: code });

/** A lesson with one turn on its way. */
function lessonWithTurn() {
  const lesson = new Lesson();
  const turn = lesson.begin('recording');
  lesson.sent(turn, 0);
  return [lesson, turn];
}

test('a turn is filled by its events', () => {
  const [lesson, turn] = lessonWithTurn();
  const script = [STT, heard('oi'), { event: 'level', level: 'A2' }, LLM, delta('Ol'), delta('á!')];
  script.forEach((event, index) => lesson.take(event, 100 * (index + 1)));
  assert.equal(lesson.takeAudio(900), turn);
  assert.deepEqual([turn.said, turn.reply, turn.level.level, turn.state], ['oi', 'Olá!', 'A2', 'llm']);
  assert.deepEqual(
    phases(turn).map(({ name, ms }) => [name, ms]),
    [['heard', 100], ['understood', 300], ['thought', 100], ['sound', 400]],
  );
  lesson.take({ event: 'response', response: 'Olá! ' }, 950);
  lesson.take(COMPLETE, 1000);
  assert.deepEqual([turn.state, turn.reply, turn.timing.total_ms, lesson.running], ['done', 'Olá! ', 3000, null]);
});

test('a turn that waits for a place knows it until it begins', () => {
  const [lesson, turn] = lessonWithTurn();
  const page = () => pageState({ talking: () => false }, lesson, { playing: false }, { open: true });
  assert.equal(lesson.take({ event: 'waiting', place: 2 }, 1), turn);
  assert.deepEqual([turn.place, page()], [2, 'queued']);
  lesson.take(STT, 2);
  assert.deepEqual([turn.place, page()], [0, 'understanding']);
  lesson.take(COMPLETE, 3);
  assert.equal(lesson.take({ event: 'waiting', place: 1 }, 4), null);
});

test('a correction belongs to its turn, is kept over a reload, and is shown where the server says so', () => {
  const [lesson, turn] = lessonWithTurn();
  const said = 'Oi 😀, hoje eu está muito triste com a prova de ontem.';
  const correction = { event: 'correction', said: 'eu está', better: 'eu estou', span: [11, 18], shown: true, rule: 'X' };
  for (const event of [STT, heard(said), correction]) lesson.take(event, 1);
  const parts = { before: 'Oi 😀, hoje', wrong: 'eu está', better: 'eu estou', after: 'muito triste com\u00a0…' };
  const [saved] = JSON.parse(JSON.stringify(lesson.saved()));
  assert.deepEqual(corrected(saved.said, saved.correction), parts);
  assert.deepEqual(corrected(said, { ...correction, span: [0, 7] }), parts); // a span that does not fit
  assert.equal(corrected(said, { ...correction, shown: false }), null);
  assert.equal(corrected(turn.said, null), null);
});

test('after a cancel nothing is played, and what still comes belongs to the old turn', () => {
  const [lesson, first] = lessonWithTurn();
  lesson.take(STT, 1);
  assert.equal(lesson.cancelSent(), first);
  assert.equal(lesson.cancelSent(), null); // once is enough
  const second = lesson.begin('again');
  lesson.sent(second, 2);
  assert.equal(lesson.take(heard('tarde'), 3), first);
  assert.equal(lesson.takeAudio(4), null);
  lesson.take(CANCELLED, 5);
  assert.deepEqual([first.state, first.said, second.state], ['stopped', 'tarde', 'sent']);
  lesson.take(STT, 6);
  assert.equal(lesson.takeAudio(7), second);
});

test('a turn that ends while its cancel is on the way leaves the next one alone', () => {
  const [lesson, first] = lessonWithTurn();
  lesson.take(STT, 1);
  lesson.cancelSent();
  lesson.take(COMPLETE, 2);
  const second = lesson.begin('again');
  lesson.sent(second, 3);
  lesson.take(CANCELLED, 4);
  assert.deepEqual([first.state, second.state, lesson.running], ['done', 'sent', second]);
});

test('a turn that was cancelled before it began does not take the events of the next one', () => {
  const [lesson, first] = lessonWithTurn();
  lesson.cancelSent();
  const second = lesson.begin('again');
  lesson.sent(second, 1);
  lesson.take(CANCELLED, 2);
  lesson.take(STT, 3);
  lesson.take(heard('segunda'), 4);
  assert.deepEqual([first.state, first.said, second.said], ['stopped', '', 'segunda']);
});

test('an error ends the turn it belongs to; a wrong setting ends none', () => {
  const [lesson, turn] = lessonWithTurn();
  assert.equal(lesson.take(error('invalid_field'), 1), null);
  assert.equal(turn.state, 'sent');
  assert.equal(lesson.take(error('bad_audio'), 2), turn); // refused before `status stt`
  assert.deepEqual([turn.state, turn.error.code, lesson.running], ['failed', 'bad_audio', null]);
  assert.equal(lesson.take(error('busy'), 3), null);
});

test('a lost connection loses what was in flight, and it can be sent again', () => {
  const [lesson, turn] = lessonWithTurn();
  lesson.take(STT, 1);
  lesson.take(heard('oi'), 2);
  assert.deepEqual(lesson.lost(), [turn]);
  assert.deepEqual([turn.state, turn.said, lesson.running], ['lost', 'oi', null]);
  lesson.reset(turn);
  lesson.sent(turn, 3);
  assert.deepEqual([turn.id, turn.said, turn.recording, lesson.running], [1, '', 'recording', turn]);
});

test('of several utterances without a connection the last is sent later, the others can be sent again', () => {
  const lesson = new Lesson();
  const [first, second] = [lesson.begin('a'), lesson.begin('b')];
  assert.equal(lesson.waiting, second);
  assert.deepEqual(lesson.giveUp(second), [first]);
  assert.deepEqual([first.state, second.state], ['lost', 'unsent']);
  lesson.sent(second, 1);
  lesson.take(STT, 2);
  assert.equal(lesson.waiting, null);
});

test('the sounds of long ago are let go, the words stay', () => {
  const lesson = new Lesson();
  for (let number = 0; number < 40; number += 1) {
    lesson.begin(`${number}`).said = 'oi';
    assert.equal(lesson.letGo?.id ?? 0, Math.max(0, number - 29));
  }
  assert.equal(lesson.turns.filter((turn) => turn.recording).length, 30);
  assert.equal(lesson.turns.filter((turn) => turn.said).length, 40);
});

test('a reload gives the sounds back that were kept, and says why others cannot be played', () => {
  const lesson = new Lesson();
  for (const key of ['old', 'new']) lesson.sent(lesson.begin(`recording ${key}`, key), 0);
  const reloaded = (kept) => {
    const after = new Lesson();
    after.restore(JSON.parse(JSON.stringify(lesson.saved())));
    after.restoreSounds(kept, after.turns);
    return after.turns.map(({ recording, pieces, unheard }) => [recording, pieces.length, unheard]);
  };
  const kept = new Map([['new', { recording: 'recording new', pieces: ['a', 'b'] }]]);
  assert.deepEqual(reloaded(kept), [[null, 0, 'soundGone'], ['recording new', 2, null]]);
  assert.deepEqual(reloaded(null), [[null, 0, 'soundNotKept'], [null, 0, 'soundNotKept']]);
});

test('a reload keeps the text', () => {
  const [lesson] = lessonWithTurn();
  lesson.take(STT, 1);
  lesson.take(heard('oi'), 2);
  const after = new Lesson();
  after.restore(JSON.parse(JSON.stringify(lesson.saved())));
  assert.deepEqual([after.last.said, after.last.state, after.last.recording], ['oi', 'stopped', null]);
  assert.equal(after.begin('new').id, 2);
});

test('a reload interrupts only what was not written to its end', () => {
  const lesson = new Lesson();
  const turns = ['written', 'half', 'unsent'].map((recording) => lesson.begin(recording));
  turns.slice(0, 2).forEach((turn) => lesson.sent(turn, 0));
  for (const event of [STT, heard('oi'), delta('Olá!'), { event: 'response', response: 'Olá!' }]) lesson.take(event, 1);
  const after = new Lesson();
  after.restore(JSON.parse(JSON.stringify(lesson.saved())));
  assert.deepEqual(after.turns.map((turn) => turn.state), ['done', 'stopped', 'unsaid']);
});

test('a child that is not there is not written', (context) => {
  const createElement = () => ({ children: [], append(...children) { this.children.push(...children); } });
  globalThis.document = { createElement };
  context.after(() => delete globalThis.document);
  assert.deepEqual(el('p', {}, 'Você', false, null, undefined, 0).children, ['Você', 0]);
});

test('a WAV file of the wire is read, also one whose chunks lie otherwise', () => {
  const file = wav(24_000, [0, 16_384, -32_768, 10], [['LIST', [1, 2, 3]]]);
  const { rate, channels } = parseWav(file);
  assert.equal(rate, 24_000);
  assert.deepEqual([...channels[0]], [0, 0.5, -1, Math.fround(10 / 32768)]);
  assert.equal(audibleSamples(channels[0]), 2);
  assert.throws(() => parseWav(new ArrayBuffer(8)));
  assert.throws(() => parseWav(file.slice(0, 20)));
});

test('the band of an estimate lies where the probability does', () => {
  const sure = { A1: 0, A2: 1, B1: 0, B2: 0, C1: 0, C2: 0 };
  assert.ok(Math.abs(quantile(sure, 0.5) - 1.5) < 1e-9);
  const torn = { A1: 0.5, A2: 0, B1: 0, B2: 0, C1: 0, C2: 0.5 };
  assert.ok(quantile(torn, 0.1) < 1 && quantile(torn, 0.9) > 5);
  assert.equal(quantile({ A1: 0.999 }, 1), 6); // rounded probabilities need not sum to 1
});

function wav(rate, samples, chunks) {
  const text = (name) => [...name].map((letter) => letter.charCodeAt(0));
  const u32 = (value) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255];
  const u16 = (value) => [value & 255, (value >> 8) & 255];
  const chunk = (name, body) => [...text(name), ...u32(body.length), ...body, ...(body.length % 2 ? [0] : [])];
  const format = [...u16(1), ...u16(1), ...u32(rate), ...u32(2 * rate), ...u16(2), ...u16(16)];
  const others = chunks.flatMap(([name, body]) => chunk(name, body));
  const body = [...text('WAVE'), ...chunk('fmt ', format), ...others, ...chunk('data', samples.flatMap(u16))];
  return Uint8Array.from([...text('RIFF'), ...u32(body.length), ...body]).buffer;
}

const kept = (transcript, reply = '', state = 'complete') => ({ transcript, reply, state, words: [], level: null });
const shown = (turns) => turns.map(({ said, reply, state }) => [said, reply, state]);

test('a page that has nothing takes over what the server keeps', () => {
  const turns = merged([], [kept('oi', 'Olá!'), kept('tchau', 'Até', 'interrupted'), { ...kept('ih'), state: 'failed', error: 'stage_lost' }]);
  assert.deepEqual(shown(turns), [['oi', 'Olá!', 'done'], ['tchau', 'Até', 'stopped'], ['ih', '', 'failed']]);
  assert.deepEqual(turns.map(({ id }) => id), [1, 2, 3]);
  assert.equal(turns[2].error.code, 'stage_lost');
  assert.equal(turns.every((turn) => turn.over), true);
});

test('what both have is there once, with the sound of this page and what it missed', () => {
  const lesson = new Lesson();
  for (const [said, state, reply] of [['oi', 'done', 'Olá!'], ['e aí', 'lost', 'Tu'], ['', 'stopped', '']]) {
    Object.assign(lesson.begin('recording', `sound of ${said}`), { said, state, reply });
  }
  Object.assign(lesson.begin('recording'), { state: 'unsent' });
  const server = [kept('antes', 'Sim.'), kept('oi', 'Olá!'), kept('e aí', 'Tudo bem?'), kept('tchau', 'Até logo!')];
  const turns = merged(lesson.turns, server);
  assert.deepEqual(shown(turns), [
    ['antes', 'Sim.', 'done'],
    ['oi', 'Olá!', 'done'],
    ['e aí', 'Tudo bem?', 'done'],
    ['tchau', 'Até logo!', 'done'],
    ['', '', 'unsent'],
  ]);
  assert.equal(turns[1], lesson.turns[0]);
  assert.deepEqual(turns.map(({ sound }) => sound), [null, 'sound of oi', 'sound of e aí', 'sound of ', null]);
});

test('a turn that is being answered stays as the page has it', () => {
  const [lesson, turn] = lessonWithTurn();
  for (const event of [STT, heard('oi'), LLM, delta('Ol')]) lesson.take(event, 1);
  const turns = merged(lesson.turns, [kept('antes', 'Sim.'), kept('oi', '', 'running')], lesson.running);
  assert.deepEqual(shown(turns), [['antes', 'Sim.', 'done'], ['oi', 'Ol', 'llm']]);
  assert.equal(turns[1], turn);
});

test('the last sentence of an answer is the one to repeat, in as many words as the server takes', () => {
  assert.equal(lastSentence('Que legal! E qual é o seu time?'), 'E qual é o seu time?');
  assert.equal(lastSentence('Oi'), 'Oi');
  assert.equal(lastSentence('Muito bem! 😀 ...'), 'Muito bem!');
  assert.equal(lastSentence('...'), '');
  const long = lastSentence(`Eu gosto ${'muito '.repeat(60)}de você.`);
  assert.ok(long.endsWith('muito de você.') && long.split(' ').length <= 30 && long.length <= 240);
});

test('asking for another sentence ends the first request, and asking again ends it altogether', () => {
  const drawn = [];
  const [one, two] = [{ reply: 'Oi. Tudo bem?', over: true }, { reply: 'Que bom!', over: true }];
  const [lesson, talk, connection] = [{ turns: [one, two] }, { talking: () => false }, { info: { routes: ['web'] } }];
  const repeat = new Repeat(lesson, talk, connection, { show: (turn) => drawn.push(turn) });
  assert.equal(repeat.offered(one), false);
  connection.info.routes.push('pronunciation');
  assert.equal(repeat.offered(one), true);
  repeat.toggle(one);
  assert.deepEqual(one.repeat, { state: 'asked', sentence: 'Tudo bem?' });
  repeat.toggle(two);
  assert.deepEqual([one.repeat, repeat.turn], [null, two]);
  repeat.toggle(two);
  assert.deepEqual([two.repeat, repeat.turn, drawn.length], [null, null, 4]);
  assert.equal(repeat.take('recording'), false); // a turn of the conversation
});
