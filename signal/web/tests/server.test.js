import assert from 'node:assert/strict';
import { test } from 'node:test';

import { beside, Refusal, timeToLive, validServers } from '../static/assets/basics/server.js';

test('beside keeps the path prefix and the key of the page, and nothing else', () => {
  for (const [name, page, want] of [
    ['ws', 'http://host:8080/', 'http://host:8080/ws'],
    ['ws', 'http://host/?policy=relay&key=a%20b#x', 'http://host/ws?key=a+b'],
    ['ice', 'https://host/trickle-ice/?key=k', 'https://host/ice?key=k'],
    ['', 'https://host/trickle-ice/?key=k', 'https://host/?key=k'],
    ['trickle-ice/', 'https://host/video/?key=k', 'https://host/video/trickle-ice/?key=k'],
    ['ice', 'https://host/video/trickle-ice/', 'https://host/video/ice'],
  ]) assert.equal(beside(name, page).href, want);
});

test('each refusal has its own text', () => {
  for (const [status, code, hasKey, text, temporary] of [
    [401, 'no-key', false, /requires a key/, false],
    [401, '', false, /requires a key/, false],
    [401, '', true, /The key in this page’s address is not valid/, false],
    [403, 'bad-key', true, /The key in this page’s address is not valid/, false],
    [403, '', true, /key or origin/, false],
    [429, 'mint-limited', true, /Wait a minute/, true],
    [503, 'restarting', true, /shutting down/, true],
    [418, '', true, /HTTP 418/, false],
  ]) {
    const refusal = new Refusal(status, code, hasKey);
    assert.match(refusal.message, text);
    assert.equal(refusal.temporary, temporary);
  }
});

test('a reply without valid ICE servers gives an empty list', () => {
  for (const reply of [null, {}, { iceServers: 'x' }, { iceServers: [null, {}, { urls: [] }] }]) {
    assert.deepEqual(validServers(reply), []);
  }
});

test('timeToLive uses ttl, then expires', () => {
  assert.equal(timeToLive({ ttl: 60, expires: 5 }), 60);
  assert.equal(timeToLive({ expires: 1060 }, 1000), 60);
  assert.equal(timeToLive({ expires: 900 }, 1000), 0);
  assert.equal(timeToLive({}), Infinity);
});
