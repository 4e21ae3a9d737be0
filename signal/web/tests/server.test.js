import assert from 'node:assert/strict';
import { test } from 'node:test';

import { beside, fetchIceServers, knownServers, Refusal, timeToLive } from '../static/assets/basics/server.js';

test('addresses beside the page, with its key and nothing else', () => {
  for (const [name, page, want] of [
    ['ws', 'http://host:8080/', 'http://host:8080/ws'],
    ['ws', 'http://host/?policy=relay&key=a%20b#x', 'http://host/ws?key=a+b'],
    ['ice', 'https://host/trickle-ice/?key=k', 'https://host/ice?key=k'],
    ['', 'https://host/trickle-ice/?key=k', 'https://host/?key=k'],
    ['trickle-ice/', 'https://host/video/?key=k', 'https://host/video/trickle-ice/?key=k'],
    ['ice', 'https://host/video/trickle-ice/', 'https://host/video/ice'],
  ]) assert.equal(beside(name, page).href, want);
});

test('every refusal has words of its own', () => {
  for (const [status, code, hasKey, words, passing] of [
    [401, 'no-key', false, /wants a key/, false],
    [401, '', false, /wants a key/, false],
    [401, '', true, /does not know the key/, false],
    [403, 'bad-key', true, /does not know the key/, false],
    [403, '', true, /key or its origin/, false],
    [429, 'mint-limited', true, /Wait a minute/, true],
    [503, 'restarting', true, /shutting down/, true],
    [418, '', true, /HTTP 418/, false],
  ]) {
    const refusal = new Refusal(status, code, hasKey);
    assert.match(refusal.message, words);
    assert.equal(refusal.passing, passing);
  }
});

/** A fetch that is answered with a status and a JSON text. */
const answering = (status, text, seen = []) => async (address, request) => {
  seen.push([request.method, address.href, request.headers?.Authorization]);
  return new Response(text, { status });
};

test('what is no list of servers is none', () => {
  for (const reply of [null, {}, { iceServers: 'x' }, { iceServers: [null, {}, { urls: [] }] }]) {
    assert.deepEqual(knownServers(reply), []);
  }
});

test('how long credentials live', () => {
  assert.equal(timeToLive({ ttl: 60, expires: 5 }), 60);
  assert.equal(timeToLive({ expires: 1060 }, 1000), 60);
  assert.equal(timeToLive({ expires: 900 }, 1000), 0);
  assert.equal(timeToLive({}), Infinity);
});
