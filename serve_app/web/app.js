/** The page: puts the parts together and decides what each event means for what is seen and heard. */

import { Connection } from './connection.js';
import { Dock } from './dock.js';
import { byId } from './dom.js';
import { use } from './i18n.js';
import { Lesson } from './lesson.js';
import { drawLevel } from './level.js';
import { Notices } from './notices.js';
import { Player } from './player.js';
import { pushToTalk } from './press.js';
import { Replay } from './replay.js';
import { Settings } from './settings.js';
import { expose, pageState } from './state.js';
import { loadChoices, loadLesson, newSession, saveChoices, saveLesson } from './store.js';
import { Talk } from './talk.js';
import { View } from './view.js';

const SPARE_S = 1; // a recording ends this long before the server's limit
const DEFAULT_LONGEST_S = 60;
const KEPT_AT = new Set(['transcript', 'level', 'response', 'complete', 'error', 'cancelled']);
const FLASHED = new Set(['tooShort', 'notReady']);
const CONNECTED = new Set(['open', 'connecting']);

const choices = loadChoices();
const kept = loadLesson();
let { session } = kept;

use(choices.language);
const lesson = new Lesson();
lesson.restore(kept.turns);
const dock = new Dock();
const notices = new Notices(
  () => connection.retry(),
  () => connection.tell({ type: 'settings' }), // any message keeps it
);
const player = new Player(() => {
  if (!player.playing) replay.end();
  draw();
});
const view = new View({ replay: (turn, who) => replayLine(turn, who), resend });
const replay = new Replay(player, show);
const settings = new Settings(choices, { changed, restart });
const talk = new Talk({
  context: () => player.context(),
  may,
  longest: () => (connection.info?.limits?.max_audio_s ?? DEFAULT_LONGEST_S) - SPARE_S,
  recorded: (recording) => deliver(lesson.begin(recording)),
  failed: (why) => (FLASHED.has(why) ? dock.say(why) : notices.microphone(why)),
  changed: draw,
  level: (level) => byId('talk').style.setProperty('--level', level.toFixed(3)),
});
const connection = new Connection({ hello, event: take, audio: takeAudio, changed: connectionChanged });

pushToTalk(byId('talk'), {
  talking: () => talk.talking(),
  begin: () => talk.begin(),
  end: () => talk.end(),
  drop: stop,
});
byId('stop').addEventListener('click', stop);
window.addEventListener('pagehide', () => {
  talk.drop();
  save();
});
if (!navigator.mediaDevices) notices.microphone(window.isSecureContext ? 'unsupported' : 'insecure');

drawAll();
view.toEnd();

expose(state, player, lesson);

function state() {
  return pageState(talk, lesson, player, connection);
}

function hello() {
  const { voice, level, speed } = choices;
  return { session_id: session, voice, level, speed };
}

/** Before a learner talks: whoever speaks is heard, so the answer stops. */
function may() {
  notices.microphone(null);
  if (connection.state === 'noRoute') return false;
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
  if (!talk.drop()) hush();
  draw();
}

function deliver(turn) {
  if (connection.open) {
    lesson.sent(turn, performance.now());
    connection.send(turn.recording);
  } else {
    turn.state = 'unsent'; // it goes out when the connection is back
    connection.retry();
  }
  show(turn);
  view.toEnd();
  save();
  draw();
}

function show(turn) {
  view.update(turn, lesson.turns, replay.line);
}

function replayLine(turn, who) {
  if (talk.talking()) return;
  const again = !replay.is(turn, who);
  hush();
  if (again) replay.begin(turn, who);
}

function resend(turn) {
  if (talk.talking() || !turn.recording) return;
  hush();
  lesson.reset(turn);
  deliver(turn);
  byId('talk').focus();
}

function take(event) {
  if (event.event === 'settings') {
    const turn = lesson.unsent(); // recorded while there was no connection
    if (turn) deliver(turn);
    return;
  }
  if (event.event === 'stopping') {
    notices.stopping(event.in_s > 0);
    return;
  }
  const turn = lesson.take(event, performance.now());
  if (turn && !(event.event === 'delta' && view.grow(turn))) show(turn);
  if (!turn && event.event === 'error') refused(event);
  if (event.event === 'level') drawLevel(lesson.turns);
  if (KEPT_AT.has(event.event)) save();
  draw();
}

/** An error that belongs to no turn: the settings were not taken, most likely for a voice this stack lacks. */
function refused({ code }) {
  if (code === 'busy' || code === 'stopping') return; // the server says so when it closes
  if (code === 'invalid_field') {
    Object.assign(choices, { voice: null, level: null });
    saveChoices(choices);
    settings.draw(connection.info?.voices);
  }
  if (!connection.open) connection.tell({ type: 'settings', ...hello(), voice: null });
}

function takeAudio(file) {
  const turn = lesson.takeAudio(performance.now());
  if (!turn) return;
  const piece = player.bufferOf(file);
  turn.pieces.push(piece);
  player.play(piece);
  if (turn.pieces.length === 1) show(turn);
}

function connectionChanged(now) {
  notices.connection(now);
  if (!CONNECTED.has(now)) for (const turn of lesson.lost()) show(turn);
  if (now === 'open') settings.draw(connection.info.voices);
  save();
  draw();
}

function changed(name) {
  saveChoices(choices);
  if (name === 'language') use(choices.language);
  else connection.tell({ type: 'settings', [name]: choices[name] });
  drawAll();
}

function restart() {
  hush();
  lesson.clear();
  session = newSession();
  connection.tell({ type: 'settings', session_id: session });
  save();
  drawAll();
  byId('talk').focus();
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

/** What the page is doing, and what its buttons would do now. */
function draw() {
  const busy = player.playing || (lesson.running && !lesson.running.stopping);
  dock.draw(state(), Boolean(busy));
}
