// One turn over the WebSocket: what is said in a recording, the answer as text and as WAV files, 0.wav and so on.
//
//     node examples/node_client.mjs pergunta.wav FOLDER [ws://HOST:PORT]
//
// Nothing to install with Node 22 or newer. Node 20.10 has the same WebSocket behind a flag: node --experimental-websocket ...
// With the package `ws` instead: import { WebSocket } from 'ws'; the rest stays as it is.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const [recording, folder, server = 'ws://127.0.0.1:8000'] = process.argv.slice(2);
if (!folder) fail('node node_client.mjs RECORDING FOLDER [ws://HOST:PORT]');
if (!globalThis.WebSocket) fail('this Node has no WebSocket: use Node 22, or Node 20.10 with --experimental-websocket');

const utterance = await readFile(recording);
const ws = new WebSocket(`${server}/ws/stream`);
ws.binaryType = 'arraybuffer'; // a Blob is read later than the events that follow it
const written = [];

ws.onopen = () => ws.send(utterance);
ws.onmessage = ({ data }) => {
  if (data instanceof ArrayBuffer) {
    written.push(writeFile(join(folder, `${written.length}.wav`), Buffer.from(data))); // plays on its own
    return;
  }
  const event = JSON.parse(data);
  console.log(event);
  if (event.event === 'complete' || event.event === 'error') ws.close();
};
ws.onerror = () => fail(`no server answers at ${server}`);
ws.onclose = async () => {
  await Promise.all(written);
  if (!written.length) fail('no answer came');
};

function fail(why) {
  console.error(why);
  process.exit(1);
}
