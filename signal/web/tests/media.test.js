import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { CandidateQueue } from '../static/assets/call/candidates.js';
import { MediaError, mediaWords, openMedia } from '../static/assets/call/media.js';

before(() => {
  globalThis.MediaStream ??= class {};
});

/** Devices that end each request as told: a name of an error, or null for success. */
function devices(...ends) {
  const asked = [];
  return {
    asked,
    async getUserMedia(wish) {
      asked.push(Object.keys(wish).join('+'));
      const name = ends.shift();
      if (name) throw Object.assign(new Error(name), { name });
      return 'stream';
    },
  };
}

const both = { audio: true, video: true };

test('what the machine lacks is left out', async () => {
  const lacking = devices('NotFoundError', null);
  assert.equal(await openMedia(both, lacking), 'stream');
  assert.deepEqual(lacking.asked, ['audio+video', 'audio']);
  const nothing = devices('NotFoundError', 'NotFoundError', 'OverconstrainedError');
  assert.ok((await openMedia(both, nothing)) instanceof MediaStream);
  assert.deepEqual(nothing.asked, ['audio+video', 'audio', 'video']);
});

test('nothing is asked for when nothing is wished for', async () => {
  assert.ok((await openMedia({ audio: false, video: false }, undefined)) instanceof MediaStream);
});

test('a refusal is told in words, without another try', async () => {
  const refusing = devices('NotAllowedError');
  await assert.rejects(openMedia(both, refusing), (failure) =>
    failure instanceof MediaError && /may not use the camera and the microphone/.test(failure.message));
  assert.equal(refusing.asked.length, 1);
});

test('an insecure page is told to use https', async () => {
  await assert.rejects(openMedia({ audio: true, video: false }, undefined), /gives the microphone to secure pages only.*https/);
});

test('every reason has words, and a way out', () => {
  for (const name of ['insecure', 'NotAllowedError', 'SecurityError', 'NotReadableError', 'AbortError', 'Whatever']) {
    assert.match(mediaWords(name, { audio: false, video: true }), /the camera.*“Options”/);
  }
});

test('candidates wait in order, up to a limit, and then go straight through', () => {
  const queue = new CandidateQueue();
  const got = [];
  for (let i = 0; i < 300; i += 1) queue.push({ candidate: String(i) });
  assert.equal(queue.length, 256);
  queue.open(({ candidate }) => got.push(candidate));
  queue.push({ candidate: 'late' });
  assert.equal(queue.length, 0);
  assert.deepEqual([got[0], got[255], got[256], got.length], ['0', '255', 'late', 257]);
});
