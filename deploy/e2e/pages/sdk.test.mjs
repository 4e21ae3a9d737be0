/** Tests the SDK's protocol code with a real daemon in Node.js. Without a browser there are no media, so it tests only the server's part of calls. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { WebSocket } from 'ws';

import { connect } from '../../../signal/web/static/sdk/icebox.js';
import { eventually } from './lib/browser.mjs';
import { Daemon } from './lib/daemon.mjs';

let daemon;
let clients = [];
/** WebSockets that clients have opened, so that tests can break them. */
const sockets = [];

class Socket extends WebSocket {
  constructor(...args) {
    super(...args);
    this.on('error', () => {}); // onclose is called as well
    sockets.push(this);
  }
}

before(async () => {
  daemon = await Daemon.start();
});

after(() => daemon?.stop());

afterEach(() => {
  for (const client of clients) client.close();
  clients = [];
});

async function join(name, options = {}) {
  const client = await connect({ url: daemon.url, name, transport: 'websocket', environment: { WebSocket: Socket }, ...options });
  clients.push(client);
  return client;
}

for (const transport of ['websocket', 'events']) {
  test(`messages, presence and ICE servers over ${transport}`, async () => {
    const al = await join(`al-${transport}`, { transport });
    const seen = [];
    al.on('presence', (presence) => seen.push(presence));
    await al.watch(`bo-${transport}`);
    const bo = await join(`bo-${transport}`, { transport });
    assert.ok(al.iceServers.length > 0);
    assert.equal(al.transport, transport);
    const heard = [];
    bo.on('message', ({ from, name, kind, data }) => heard.push([from, name, kind, data]));
    await al.send(bo.name, 'note', { text: 'ä' });
    await al.send({ id: bo.id }, 'note', 2);
    await eventually(() => heard.length === 2, 'both messages');
    assert.deepEqual(heard, [[al.id, al.name, 'note', { text: 'ä' }], [al.id, al.name, 'note', 2]]);
    await assert.rejects(al.send('nobody', 'note', 1), { name: 'IceboxError', code: 'peer-offline' });
    bo.close();
    await eventually(() => seen.length === 3, 'presence');
    assert.deepEqual(seen.map(({ online }) => online), [false, true, false]);
    await assert.rejects(join('other', { transport: 'events', url: `${daemon.url}nothing/` }), { code: 'unreachable' });
  });

  test(`a broken connection loses and duplicates no message over ${transport}`, async () => {
    const al = await join(`as-${transport}`);
    const bo = await join(`bs-${transport}`, { transport });
    const heard = [];
    bo.on('message', ({ data }) => heard.push(data));
    const sent = [];
    for (let n = 0; n < 60; n += 1) {
      sent.push(al.send(bo.name, 'note', n));
      if (n % 20 === 10) {
        for (const socket of sockets) socket.terminate();
        await eventually(() => al.state === 'connected' && bo.state === 'connected', 'connected again');
      }
    }
    await Promise.all(sent);
    await eventually(() => heard.length >= 60, 'all messages');
    assert.deepEqual(heard, Array.from({ length: 60 }, (_, n) => n));
  });
}

test('after a restart of the daemon a client signs in again, with another ID, and watches again', async () => {
  const al = await join('al');
  const bo = await join('bo', { transport: 'events' });
  await al.watch('bo');
  const { id } = al;
  const seen = [];
  al.on('presence', ({ online }) => seen.push(online));
  await daemon.kill();
  await eventually(() => al.state !== 'connected', 'the loss');
  await daemon.run();
  await eventually(() => al.id !== id && al.state === 'connected' && bo.state === 'connected' && seen.at(-1) === true, 'signed in again');
  await al.send('bo', 'note', 1);
});

test('a name in use is refused, and can be reclaimed with its secret', async () => {
  const al = await join('alone');
  await assert.rejects(join('alone'), { code: 'name-taken' });
  let end;
  al.on('close', (problem) => (end = problem));
  const again = await join('alone', { replace: al.secret });
  assert.equal(again.name, 'alone');
  await eventually(() => al.state === 'closed', 'the end of the first');
  assert.equal(end.code, 'replaced');
});

test('calling an unknown name fails, and the callee is told of a call and of its end', async () => {
  const al = await join('caller');
  const bo = await join('callee');
  const calls = [];
  bo.on('call', (incoming) => calls.push(incoming));
  // Node.js has no media. The call itself exists at the server.
  globalThis.MediaStream ??= class {
    getTracks() {
      return [];
    }
  };
  const media = { audio: false, video: false };
  await assert.rejects(al.call('nobody', { media }), { code: 'peer-offline' });
  const call = await al.call('callee', { media });
  assert.equal(call.state, 'ringing');
  await eventually(() => calls.length === 1, 'a ring');
  assert.deepEqual([calls[0].name, calls[0].call], ['caller', call.id]);
  const ended = new Promise((resolve) => call.on('end', resolve));
  calls[0].decline();
  assert.deepEqual(await ended, { reason: 'declined', by: 'callee' });
  const second = await al.call('callee', { media });
  await eventually(() => calls.length === 2, 'another ring');
  const cancelled = new Promise((resolve) => calls[1].on('end', resolve));
  second.hangUp();
  assert.equal(await cancelled, 'cancelled');
  await assert.rejects(bo.join(second.id, { media }), { code: 'no-such-call' });
});
