/** The page's main module: connects the parts and handles each event of the server. */

import { Connection } from './connection.js';
import { Dock } from './dock.js';
import { byId } from './dom.js';
import { use } from './i18n.js';
import { deleteConversation, fetchTurns, merged } from './kept.js';
import { KeyDialog } from './key.js';
import { Lesson } from './lesson.js';
import { drawLevel } from './level.js';
import { Notices } from './notices.js';
import { Player } from './player.js';
import { pushToTalk } from './press.js';
import { Repeat } from './repeat.js';
import { Replay } from './replay.js';
import { Settings } from './settings.js';
import { Sounds } from './sounds.js';
import { expose, pageState } from './state.js';
import { loadChoices, loadLesson, newKey, saveChoices, saveLesson } from './store.js';
import { Talk } from './talk.js';
import { View } from './view.js';

const SPARE_S = 1; // a recording ends this long before the server's limit
const DEFAULT_LONGEST_S = 60;
const KEPT_AT = new Set(['transcript', 'level', 'correction', 'response', 'complete', 'error', 'cancelled']);
const FLASHED = new Set(['tooShort', 'notReady', 'cutOff']);
const ASK_AGAIN_MS = 5000; // retry after a stage could not check a setting because it was still starting
const CONNECTED = new Set(['open', 'connecting']);

const choices = loadChoices();
const kept = loadLesson();
let { session } = kept;
let refusals = 0; // of the settings, on this connection

use(choices.language);
const lesson = new Lesson();
lesson.restore(kept.turns);
const sounds = new Sounds();
const dock = new Dock();
const notices = new Notices(
  () => connection.retry(),
  () => connection.tell({ type: 'settings' }), // any message keeps the server running
);
const player = new Player(() => {
  if (!player.playing) replay.end();
  draw();
});
const view = new View({
  replay: (turn, who) => replayLine(turn, who),
  unheard: (why) => dock.say(why),
  resend,
  repeat: () => repeat,
  timed: () => choices.timing,
});
const replay = new Replay(player, show, () => dock.say('unplayable'));
const settings = new Settings(choices, {
  ...{ changed, restart, forget },
  slower: () => choices.speed !== 1 && sayAgainSlowly(lesson.last),
  opened: () => connection.refresh(),
});
const talk = new Talk({
  context: () => player.context(),
  may,
  longest: () => (connection.info?.limits?.max_audio_s ?? DEFAULT_LONGEST_S) - SPARE_S,
  recorded,
  failed: (why) => {
    if (FLASHED.has(why)) dock.say(why);
    else notices.microphone(why);
    sendUnsent();
  },
  changed: draw,
  level: (level) => byId('talk').style.setProperty('--level', level.toFixed(3)),
});
const keyDialog = new KeyDialog(() => connection.retry());
const connection = new Connection({ hello, event: take, audio: takeAudio, changed: connectionChanged });
const repeat = new Repeat(lesson, talk, connection, { show, slowly: sayAgainSlowly });

pushToTalk(byId('talk'), {
  talking: () => talk.talking(),
  begin: () => talk.begin(),
  end: () => talk.end(),
  drop: stop,
});
byId('stop').addEventListener('click', stop);
// The page is hidden: the microphone must not keep listening.
document.addEventListener('visibilitychange', () => document.hidden && talk.end());
window.addEventListener('beforeunload', (event) => lesson.waiting && event.preventDefault());
window.addEventListener('pagehide', () => {
  talk.drop();
  save();
});
if (!navigator.mediaDevices) notices.microphone(window.isSecureContext ? 'unsupported' : 'insecure');

drawAll();
if (lesson.turns.length) view.toEnd(); // whoever comes for the first time reads the welcome from its beginning
restoreSounds(lesson.turns);

expose(state, player, lesson);

function state() {
  return pageState(talk, lesson, player, connection);
}

function hello() {
  const { voice, level, speed } = choices;
  return { session_id: session, voice, level, speed, wait: true };
}

/** Called before the learner talks: the answer being spoken is interrupted. */
function may() {
  notices.microphone(null);
  if (connection.state === 'noRoute' || connection.state === 'noKey') return false;
  hush();
  return true;
}

/** Stop the sound and the turn it belongs to. */
function hush() {
  replay.end();
  const turn = lesson.cancelSent();
  if (turn) connection.tell({ type: 'cancel' });
  player.stop();
}

function stop() {
  if (talk.drop()) sendUnsent();
  else hush();
  draw();
}

function recorded(recording) {
  if (repeat.take(recording)) return;
  const turn = lesson.begin(recording, newKey());
  sounds.keep(session, turn);
  if (lesson.letGo) show(lesson.letGo);
  deliver(turn);
}

/** The turns of before a reload can be heard again, or say why not. */
async function restoreSounds(turns) {
  if (!turns.length) return;
  lesson.restoreSounds(await sounds.load(turns.map((turn) => turn.sound ?? '')), turns);
  if (lesson.turns.includes(turns[0])) for (const turn of turns) show(turn);
}

/** Take over what the server has of this conversation and the page has not. */
async function restoreTurns() {
  if (!lesson.turns.length) return; // a new conversation
  const asked = session;
  const kept = await fetchTurns(asked);
  if (!kept.length || asked !== session) return;
  lesson.turns = merged(lesson.turns, kept, lesson.running);
  save();
  drawAll();
}

/** Send what was recorded without a connection, once there is one and nobody is talking. */
function sendUnsent() {
  if (connection.open && !talk.talking() && lesson.waiting) deliver(lesson.waiting);
}

function deliver(turn) {
  hush(); // an utterance ends the previous turn; send `cancel` first, so that each `cancelled` belongs to one `cancel`
  for (const old of lesson.giveUp(turn)) show(old);
  if (connection.open) {
    lesson.sent(turn, performance.now());
    connection.send(turn.recording);
  } else {
    turn.state = 'unsent'; // sent when the connection is back
    connection.retry();
  }
  show(turn);
  if (turn === lesson.last) view.toEnd();
  save();
  draw();
}

function show(turn) {
  view.update(turn, lesson.turns, replay.line);
}

function replayLine(turn, who) {
  if (talk.talking() || (lesson.running && !lesson.running.stopping)) return; // an answer is still coming
  const again = !replay.is(turn, who);
  hush();
  if (again) replay.begin(turn, who);
}

/** A whole answer again, slowly, from the sound that is kept: the last one when "Devagar" is switched on. */
function sayAgainSlowly(turn) {
  if (talk.talking() || !turn?.over || !turn.pieces.length) return;
  hush();
  replay.slowly(turn);
}

function resend(turn) {
  if (talk.talking() || !turn.recording) return;
  lesson.reset(turn);
  deliver(turn);
  byId('talk').focus();
}

function take(event) {
  if (event.event === 'settings') {
    sendUnsent();
    return;
  }
  if (event.event === 'stopping') {
    notices.stopping(event.in_s > 0 && !event.restart);
    return;
  }
  const turn = lesson.take(event, performance.now());
  if (turn && !(event.event === 'delta' && view.grow(turn))) show(turn);
  if (!turn && event.event === 'error') refused(event);
  if (event.event === 'level') {
    drawLevel(lesson.turns);
    if (turn && event.utterances === 1 && lesson.knownBefore(turn)) dock.say('forgotten');
  }
  if (KEPT_AT.has(event.event)) save();
  draw();
}

/** An error outside a turn: the settings were refused, most likely because this stack lacks the voice. */
function refused({ code }) {
  if (code === 'busy' || code === 'stopping') return; // the server repeats it when it closes the connection
  if (code === 'invalid_field') {
    Object.assign(choices, { voice: null, level: null, speed: 1 });
    saveChoices(choices);
    settings.draw(connection.info?.voices);
  }
  refusals += 1;
  if (connection.open || refusals > 1) return; // refused twice: a third try would be refused too
  connection.tell({ type: 'settings', ...hello(), voice: null });
  if (choices.voice) setTimeout(() => connection.tell({ type: 'settings', voice: choices.voice }), ASK_AGAIN_MS);
}

function takeAudio(file) {
  const turn = lesson.takeAudio(performance.now());
  if (!turn) return;
  turn.pieces.push(file);
  player.play(player.bufferOf(file));
  sounds.keep(session, turn);
  if (turn.pieces.length === 1) show(turn);
}

function connectionChanged(now) {
  view.stayingAtEnd(() => notices.connection(now));
  if (now === 'noKey') keyDialog.ask();
  if (now === 'open') restoreTurns();
  else refusals = 0;
  if (!CONNECTED.has(now)) for (const turn of lesson.lost()) show(turn);
  if (now === 'open') for (const turn of lesson.turns) show(turn); // the server's routes are known now
  settings.draw(connection.info?.voices);
  save();
  draw();
}

function changed(name) {
  saveChoices(choices);
  if (name === 'language') use(choices.language);
  else if (name !== 'timing') connection.tell({ type: 'settings', [name]: choices[name] });
  drawAll();
}

function restart() {
  hush();
  lesson.clear();
  byId('announcer').replaceChildren();
  sounds.forget(session);
  session = newKey();
  connection.tell({ type: 'settings', session_id: session });
  save();
  drawAll();
  byId('talk').focus();
}

/** Delete this conversation, here and on the server, and begin another one. */
async function forget() {
  hush();
  if (await deleteConversation(session)) restart();
  else dock.say('notDeleted');
}

function save() {
  saveLesson(session, lesson.saved());
}

function drawAll() {
  view.draw(lesson.turns, replay.line);
  drawLevel(lesson.turns);
  settings.draw(connection.info?.voices);
  notices.draw();
  draw();
}

/** Update the page's state, and what its buttons do now. */
function draw() {
  const busy = player.playing || (lesson.running && !lesson.running.stopping);
  dock.draw(state(), Boolean(busy), lesson.running?.place ?? 0);
}
