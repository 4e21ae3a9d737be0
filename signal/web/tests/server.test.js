import assert from 'node:assert/strict';
import { test } from 'node:test';

import { hasRelay, IceServers } from '../static/assets/call/ice.js';
import { beside, fetchIceServers, hubAddress, knownServers, Refusal, timeToLive } from '../static/assets/basics/server.js';

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

test('the hub is asked by ws or wss as the page is http or https', () => {
  assert.equal(hubAddress('http://127.0.0.1:8080/').href, 'ws://127.0.0.1:8080/ws');
  assert.equal(hubAddress('https://[2001:db8::1]/?key=k').href, 'wss://[2001:db8::1]/ws?key=k');
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

test('ICE servers are fetched with the key and the token', async () => {
  const seen = [];
  const get = answering(200, '{"iceServers":[{"urls":["stun:h"]}],"ttl":60}', seen);
  const got = await fetchIceServers('https://host/trickle-ice/?key=k', 'token', get);
  assert.deepEqual(got, { iceServers: [{ urls: ['stun:h'] }], ttl: 60 });
  await fetchIceServers('https://host/', '', get);
  assert.deepEqual(seen, [['POST', 'https://host/ice?key=k', 'Bearer token'], ['POST', 'https://host/ice', undefined]]);
});

test('fetching fails in words', async () => {
  const failing = (get, words) => assert.rejects(fetchIceServers('https://host/', '', get), words);
  await failing(async () => { throw new TypeError('Failed to fetch'); }, /cannot be reached/);
  await failing(answering(401, '{"code":"no-key"}'), Refusal);
  await failing(answering(502, '<html>'), /HTTP 502/);
  await failing(answering(200, '<html>'), /not a list of ICE servers/);
});

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

test('credentials that ran out are replaced before a call, if it can be done', async () => {
  let fetched = 0;
  const ice = new IceServers('https://host/', async () => {
    fetched += 1;
    if (fetched === 1) throw new Error('down');
    return { iceServers: [{ urls: ['stun:new'] }], ttl: 3600 };
  });
  ice.take({ iceServers: [{ urls: ['stun:old'] }], ttl: 3600 });
  assert.equal((await ice.current())[0].urls[0], 'stun:old');
  assert.equal(fetched, 0);
  ice.take({ iceServers: [{ urls: ['stun:old'] }], ttl: 30 });
  assert.equal((await ice.current())[0].urls[0], 'stun:old', 'kept when no fresh ones can be had');
  assert.equal((await ice.current())[0].urls[0], 'stun:new');
  assert.equal((await ice.current())[0].urls[0], 'stun:new');
  assert.equal(fetched, 2);
});

test('a sign-in without servers is made up for before a call', async () => {
  const asked = [];
  const ice = new IceServers('https://host/', async (page, token) => {
    asked.push(`${page} ${token}`);
    return { iceServers: [{ urls: ['stun:new'] }], ttl: 3600 };
  });
  ice.take({ type: 'login', success: true, token: 'T', iceError: { code: 'mint-limited' } });
  assert.equal((await ice.current())[0].urls[0], 'stun:new');
  assert.deepEqual(asked, ['https://host/ T']);
});

test('whether there is a relay', () => {
  assert.equal(hasRelay([{ urls: ['stun:h'] }]), false);
  assert.equal(hasRelay([{ urls: 'stun:h' }, { urls: 'turns:h' }]), true);
});
