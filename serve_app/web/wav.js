/** Reads the WAV files from the server: RIFF, 16-bit PCM, any rate and number of channels. */

/**
 * The samples of a WAV file.
 * @param {ArrayBuffer} file
 * @returns {{rate: number, channels: Float32Array[]}} samples in -1..1, one array per channel
 * @throws {Error} if it is not such a file
 */
export function parseWav(file) {
  const view = new DataView(file);
  if (file.byteLength < 12 || tag(view, 0) !== 'RIFF' || tag(view, 8) !== 'WAVE') throw new Error('not a WAV file');
  let format = null;
  for (let at = 12; at + 8 <= view.byteLength; ) {
    const name = tag(view, at);
    const start = at + 8;
    const size = Math.min(view.getUint32(at + 4, true), view.byteLength - start); // a streamed file may declare too large a size
    if (name === 'fmt ') {
      format = { channels: view.getUint16(start + 2, true), rate: view.getUint32(start + 4, true) };
      if (view.getUint16(start + 14, true) !== 16) throw new Error('only PCM of 16 bits is played');
    }
    if (name === 'data' && format) return { rate: format.rate, channels: samples(view, start, size, format.channels) };
    at = start + size + (size % 2); // chunks are padded to an even length
  }
  throw new Error('a WAV file without samples');
}

/** The number of audible samples: those above -60 dBFS. */
export function audibleSamples(samples) {
  let count = 0;
  for (const sample of samples) if (sample > 0.001 || sample < -0.001) count += 1;
  return count;
}

function samples(view, start, size, count) {
  const length = Math.floor(size / (2 * count));
  const channels = Array.from({ length: count }, () => new Float32Array(length));
  for (let frame = 0; frame < length; frame += 1) {
    for (let channel = 0; channel < count; channel += 1) {
      channels[channel][frame] = view.getInt16(start + 2 * (frame * count + channel), true) / 32768;
    }
  }
  return channels;
}

function tag(view, at) {
  return String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
}
