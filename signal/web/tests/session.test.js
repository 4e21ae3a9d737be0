import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { connect } from '../static/sdk/icebox.js';
import { delay } from '../static/sdk/session.js';
import { FakeSocket, turn, welcome } from './fakes.js';

// The clock stands still unless a test moves it.
beforeEach(() => {
  FakeSocket.all = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1_000_000 });
});

const offline = async () => {
  throw new TypeError('no network');
};
const start = (options = {}) => connect({ url: 'https://h/x', name: 'al', environment: { WebSocket: FakeSocket, fetch: offline }, ...options });

/** A client that is signed in, with its socket. */
async function signedIn(options) {
  const connecting = start(options);
  await turn();
  const socket = await welcome();
  return { client: await connecting, socket };
}

/** Moves the clock until there is another socket. */
async function nextSocket() {
  const before = FakeSocket.all.length;
  for (let i = 0; i < 200 && FakeSocket.all.length === before; i += 1) {
    mock.timers.tick(100);
    await turn();
  }
  assert.ok(FakeSocket.all.length > before, 'no attempt to connect');
  return FakeSocket.last;
}

test('signs in over the WebSocket beside the server’s URL', async () => {
  const { client, socket } = await signedIn({ key: 'k', replace: 'old' });
  assert.equal(socket.address, 'wss://h/x/ws');
  assert.equal(socket.protocol, 'icebox.v1');
  assert.deepEqual(socket.of('hello'), [{ type: 'hello', v: 1, name: 'al', token: 'k', replace: 'old' }]);
  assert.equal(socket.sent[1].type, 'ack'); // from now on the session is worth keeping
  assert.deepEqual([client.name, client.id, client.state, client.transport], ['al', 'id-1', 'connected', 'websocket']);
});

test('a refusal is an error with a code and a sentence', async () => {
  const connecting = start();
  await turn();
  FakeSocket.last.open();
  await turn();
  FakeSocket.last.say({ type: 'error', code: 'name-taken', message: 'somebody has this name' });
  await assert.rejects(connecting, { name: 'IceboxError', code: 'name-taken', message: 'Somebody has this name.' });
  assert.ok(FakeSocket.last.closed);
});

test('a lost connection is resumed: what was not acknowledged is sent again, what came twice is dropped', async () => {
  const { client, socket } = await signedIn();
  const heard = [];
  client.on('message', ({ data }) => heard.push(data));
  void client.send('bo', 'note', 1);
  void client.send('bo', 'note', 2);
  socket.say({ seq: 1, type: 'message', from: 'x', kind: 'note', data: 'a' });
  socket.say({ type: 'ack', ack: 1 });
  socket.lose();
  void client.send('bo', 'note', 3);
  assert.equal(client.state, 'reconnecting');

  const again = await nextSocket();
  again.open();
  await turn();
  assert.deepEqual(again.of('hello'), [{ type: 'hello', v: 1, resume: 'secret-1', seq: 1 }]);
  again.say({ type: 'resumed', id: 'id-1', ack: 1, seq: 2 });
  await turn();
  assert.deepEqual(again.of('send').map(({ seq, data }) => [seq, data]), [[2, 2], [3, 3]]);
  again.say({ seq: 1, type: 'message', from: 'x', kind: 'note', data: 'a' });
  again.say({ seq: 2, type: 'message', from: 'x', kind: 'note', data: 'b' });
  assert.deepEqual(heard, ['a', 'b']);
  assert.equal(client.state, 'connected');
});

test('a message that is missing makes it resume', async () => {
  const { socket } = await signedIn();
  socket.say({ seq: 2, type: 'presence', name: 'x', online: true });
  const again = await nextSocket();
  again.open();
  await turn();
  assert.equal(again.of('hello')[0].seq, 0);
});

test('the server is told now and then what has come', async () => {
  const { socket } = await signedIn();
  for (let seq = 1; seq <= 8; seq += 1) socket.say({ seq, type: 'presence', name: 'x', online: true });
  assert.deepEqual(socket.of('ack').at(-1), { type: 'ack', ack: 8 });
});

test('where it can’t be resumed, it signs in anew, watches again, and says what became of what was asked', async () => {
  const { client, socket } = await signedIn();
  const watching = client.watch('bo');
  await turn();
  socket.say({ seq: 1, type: 'ok', ref: 1 });
  await watching;
  const asked = assert.rejects(client.send('bo', 'note', 1), { code: 'lost' });
  socket.lose();
  const second = await nextSocket();
  second.open();
  await turn();
  second.say({ type: 'error', code: 'resync', message: 'the session is over' });
  await turn();
  const third = await welcome();
  assert.deepEqual(third.of('hello'), [{ type: 'hello', v: 1, name: 'al', replace: 'secret-1' }]);
  assert.deepEqual(third.of('watch').map(({ seq, names }) => [seq, names]), [[1, ['bo']]]);
  await asked;
  assert.equal(client.id, 'id-3');
});

test('a token may be another one at each sign-in', async () => {
  let n = 0;
  const { client, socket } = await signedIn({ token: async () => `jwt ${(n += 1)}` });
  assert.equal(socket.of('hello')[0].token, 'jwt 1');
  socket.say({ type: 'bye', reason: 'token-expired', reconnect: true });
  const second = await nextSocket();
  second.open();
  await turn();
  second.say({ type: 'error', code: 'resync', message: 'over' });
  await turn();
  assert.equal((await welcome()).of('hello')[0].token, 'jwt 2');
  assert.equal(client.state, 'connected');
});

for (const [reason, reconnect, options, state] of [
  ['restarting', true, {}, 'reconnecting'], ['elsewhere', false, {}, 'closed'], ['replaced', false, {}, 'closed'],
  ['token-expired', true, { token: 'one for ever' }, 'closed'],
]) {
  test(`the goodbye ${reason}`, async () => {
    const { client, socket } = await signedIn(options);
    let end;
    client.on('close', (problem) => (end = problem));
    socket.say({ type: 'bye', reason, reconnect });
    assert.equal(client.state, state);
    assert.equal(end?.code, state === 'closed' ? reason : undefined);
  });
}

test('a name that somebody else has taken meanwhile ends it after a few attempts', async () => {
  const { client, socket } = await signedIn();
  socket.lose();
  for (let attempt = 0; attempt < 4; attempt += 1) {
    for (const code of ['resync', 'name-taken']) {
      const next = code === 'resync' ? await nextSocket() : FakeSocket.last;
      next.open();
      await turn();
      next.say({ type: 'error', code, message: 'no' });
      await turn();
    }
  }
  assert.deepEqual([client.state, client.problem.code], ['closed', 'name-taken']);
});

test('a connection that shows no sign of life is given up in seconds', async () => {
  const { client, socket } = await signedIn();
  mock.timers.tick(25_000);
  assert.equal(socket.of('ping').length, 1);
  socket.say({ type: 'pong' });
  mock.timers.tick(25_000);
  assert.equal(client.state, 'connected');
  mock.timers.tick(5_000);
  assert.equal(client.state, 'reconnecting');
  assert.ok(socket.closed);
});

test('asked to, it makes sure of a connection, or makes one at once', async () => {
  const { client, socket } = await signedIn();
  client.reconnect();
  assert.equal(socket.of('ping').length, 1);
  mock.timers.tick(2_500);
  assert.equal(client.state, 'reconnecting');
  client.reconnect();
  await turn();
  assert.equal(FakeSocket.all.length, 2);
});

test('a goodbye of our own is the last word', async () => {
  const { client, socket } = await signedIn();
  client.close();
  assert.deepEqual(socket.sent.at(-1), { type: 'bye' });
  assert.equal(client.state, 'closed');
  await assert.rejects(client.send('bo', 'note', 1), { code: 'closed' });
  mock.timers.tick(60_000);
  await turn();
  assert.equal(FakeSocket.all.length, 1);
});

test('it waits longer each time, but not long while somebody is in a call', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 9].map((n) => delay(n, false, 1)), [300, 600, 1200, 2400, 4800, 20_000]);
  assert.deepEqual([0, 3, 9].map((n) => delay(n, true, 1)), [300, 2400, 2500]);
  assert.equal(delay(0, true, 0), 150);
});

/** A server of events, as fetch sees it. */
function eventServer() {
  const encoder = new TextEncoder();
  const server = { posts: [], streams: [] };
  const json = (body) => new Response(JSON.stringify(body));
  server.fetch = async (address, { headers, body, signal }) => {
    const { pathname } = new URL(address);
    if (pathname === '/x/v1/hello') {
      server.hello = JSON.parse(body);
      return json({ type: 'welcome', id: 'id', name: 'al', resume: 'secret', limits: {} });
    }
    if (pathname === '/x/v1/send') {
      server.posts.push(JSON.parse(body));
      return json({ type: 'ack', ack: 0 });
    }
    const stream = { headers };
    const readable = new ReadableStream({ start: (controller) => (stream.controller = controller) });
    stream.say = (text) => stream.controller.enqueue(encoder.encode(text));
    signal.addEventListener('abort', () => stream.controller.error(new Error('aborted')));
    server.streams.push(stream);
    stream.say('data: {"type":"resumed","id":"id","name":"al","seq":0}\n\n');
    return new Response(readable);
  };
  return server;
}

test('without WebSockets it takes events, quickly', async () => {
  const server = eventServer();
  const connecting = start({ environment: { WebSocket: FakeSocket, fetch: server.fetch } });
  await turn();
  mock.timers.tick(3_000); // a network that swallows the upgrade
  const client = await connecting;
  assert.equal(client.transport, 'events');
  assert.ok(FakeSocket.last.closed);
  assert.deepEqual(server.hello, { type: 'hello', v: 1, name: 'al' });
  const [stream] = server.streams;
  assert.equal(stream.headers.Authorization, 'Bearer secret');

  const heard = [];
  client.on('message', ({ data }) => heard.push(data));
  stream.say('id: 1\ndata: {"seq":1,"type":"message","from":"x","kind":"n","da');
  stream.say('ta":"ä"}\n\n: \n\n');
  await turn();
  assert.deepEqual(heard, ['ä']);

  const unanswered = [1, 2].map((n) => assert.rejects(client.send('bo', 'note', n), { code: 'closed' }));
  await turn();
  assert.deepEqual(server.posts.flat().filter(({ type }) => type === 'send').map(({ seq }) => seq), [1, 2]);
  mock.timers.tick(25_000); // and nothing comes any more
  assert.equal(client.state, 'reconnecting');
  client.close();
  await Promise.all(unanswered);
});

test('told to use events, it never tries a WebSocket', async () => {
  const server = eventServer();
  const client = await start({ transport: 'events', environment: { WebSocket: FakeSocket, fetch: server.fetch } });
  assert.equal(client.transport, 'events');
  assert.equal(FakeSocket.all.length, 0);
  client.close({ unloading: true });
  await turn();
  assert.deepEqual(server.posts.at(-1).at?.(-1) ?? server.posts.at(-1), { type: 'bye' });
});

for (const [status, body, code] of [
  [401, '{"type":"error","code":"token-missing","message":"a token is wanted"}', 'token-missing'],
  [403, 'pages of this origin may not connect here', 'not-allowed'], [429, 'too many', 'too-many'],
  [503, 'restarting', 'unavailable'], [502, '<html>', 'unreachable'],
]) {
  test(`HTTP status ${status} with ${body} is ${code}`, async () => {
    const environment = { WebSocket: FakeSocket, fetch: async () => new Response(body, { status }) };
    await assert.rejects(start({ transport: 'events', environment }), { code });
  });
}
