import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { connect } from '../static/sdk/icebox.js';
import { retryDelay } from '../static/sdk/session.js';
import { FakeSocket, flushTasks, welcome } from './fakes.js';

// Time stands still unless a test advances it.
beforeEach(() => {
  FakeSocket.all = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1_000_000 });
});

const offline = async () => {
  throw new TypeError('no network');
};
const start = (options = {}) => connect({ url: 'https://h/x', name: 'al', environment: { WebSocket: FakeSocket, fetch: offline }, ...options });

/** A signed-in client and its socket. */
async function signedIn(options) {
  const connecting = start(options);
  await flushTasks();
  const socket = await welcome();
  return { client: await connecting, socket };
}

/** Advances the time until the client opens another socket. */
async function nextSocket() {
  const before = FakeSocket.all.length;
  for (let i = 0; i < 200 && FakeSocket.all.length === before; i += 1) {
    mock.timers.tick(100);
    await flushTasks();
  }
  assert.ok(FakeSocket.all.length > before, 'the client does not reconnect');
  return FakeSocket.last;
}

test('the client signs in over the WebSocket at ws below the server’s URL', async () => {
  const { client, socket } = await signedIn({ key: 'k', replace: 'old' });
  assert.equal(socket.address, 'wss://h/x/ws');
  assert.equal(socket.protocol, 'icebox.v1');
  assert.deepEqual(socket.sentOf('hello'), [{ type: 'hello', v: 1, name: 'al', token: 'k', replace: 'old' }]);
  assert.equal(socket.sent[1].type, 'ack'); // the server keeps a session for resuming only once it gets this
  assert.deepEqual([client.name, client.id, client.state, client.transport], ['al', 'id-1', 'connected', 'websocket']);
});

test('a refusal is an error with a code and a sentence', async () => {
  const connecting = start();
  await flushTasks();
  FakeSocket.last.open();
  await flushTasks();
  FakeSocket.last.deliver({ type: 'error', code: 'name-taken', message: 'somebody has this name' });
  await assert.rejects(connecting, { name: 'IceboxError', code: 'name-taken', message: 'Somebody has this name.' });
  assert.ok(FakeSocket.last.closed);
});

test('after resuming, unacknowledged messages are sent again and duplicates are dropped', async () => {
  const { client, socket } = await signedIn();
  const received = [];
  client.on('message', ({ data }) => received.push(data));
  void client.send('bo', 'note', 1);
  void client.send('bo', 'note', 2);
  socket.deliver({ seq: 1, type: 'message', from: 'x', kind: 'note', data: 'a' });
  socket.deliver({ type: 'ack', ack: 1 });
  socket.drop();
  void client.send('bo', 'note', 3);
  assert.equal(client.state, 'reconnecting');

  const again = await nextSocket();
  again.open();
  await flushTasks();
  assert.deepEqual(again.sentOf('hello'), [{ type: 'hello', v: 1, resume: 'secret-1', seq: 1 }]);
  again.deliver({ type: 'resumed', id: 'id-1', ack: 1, seq: 2 });
  await flushTasks();
  assert.deepEqual(again.sentOf('send').map(({ seq, data }) => [seq, data]), [[2, 2], [3, 3]]);
  again.deliver({ seq: 1, type: 'message', from: 'x', kind: 'note', data: 'a' });
  again.deliver({ seq: 2, type: 'message', from: 'x', kind: 'note', data: 'b' });
  assert.deepEqual(received, ['a', 'b']);
  assert.equal(client.state, 'connected');
});

test('a gap in the sequence numbers makes the client resume', async () => {
  const { socket } = await signedIn();
  socket.deliver({ seq: 2, type: 'presence', name: 'x', online: true });
  const again = await nextSocket();
  again.open();
  await flushTasks();
  assert.equal(again.sentOf('hello')[0].seq, 0);
});

test('the client acknowledges every eighth message', async () => {
  const { socket } = await signedIn();
  for (let seq = 1; seq <= 8; seq += 1) socket.deliver({ seq, type: 'presence', name: 'x', online: true });
  assert.deepEqual(socket.sentOf('ack').at(-1), { type: 'ack', ack: 8 });
});

test('if the session can’t be resumed, the client signs in and watches again, and open requests reject', async () => {
  const { client, socket } = await signedIn();
  const watching = client.watch('bo');
  await flushTasks();
  socket.deliver({ seq: 1, type: 'ok', ref: 1 });
  await watching;
  const rejected = assert.rejects(client.send('bo', 'note', 1), { code: 'lost' });
  socket.drop();
  const second = await nextSocket();
  second.open();
  await flushTasks();
  second.deliver({ type: 'error', code: 'resync', message: 'the session is over' });
  await flushTasks();
  const third = await welcome();
  assert.deepEqual(third.sentOf('hello'), [{ type: 'hello', v: 1, name: 'al', replace: 'secret-1' }]);
  assert.deepEqual(third.sentOf('watch').map(({ seq, names }) => [seq, names]), [[1, ['bo']]]);
  await rejected;
  assert.equal(client.id, 'id-3');
});

test('the token function is called for each sign-in', async () => {
  let n = 0;
  const { client, socket } = await signedIn({ token: async () => `jwt ${(n += 1)}` });
  assert.equal(socket.sentOf('hello')[0].token, 'jwt 1');
  socket.deliver({ type: 'bye', reason: 'token-expired', reconnect: true });
  const second = await nextSocket();
  second.open();
  await flushTasks();
  second.deliver({ type: 'error', code: 'resync', message: 'over' });
  await flushTasks();
  assert.equal((await welcome()).sentOf('hello')[0].token, 'jwt 2');
  assert.equal(client.state, 'connected');
});

for (const [reason, reconnect, options, state] of [
  ['restarting', true, {}, 'reconnecting'], ['elsewhere', false, {}, 'closed'], ['replaced', false, {}, 'closed'],
  ['token-expired', true, { token: 'one for ever' }, 'closed'],
]) {
  test(`after the bye ${reason} the client is ${state}`, async () => {
    const { client, socket } = await signedIn(options);
    let end;
    client.on('close', (problem) => (end = problem));
    socket.deliver({ type: 'bye', reason, reconnect });
    assert.equal(client.state, state);
    assert.equal(end?.code, state === 'closed' ? reason : undefined);
  });
}

test('the client gives up if its name stays taken', async () => {
  const { client, socket } = await signedIn();
  socket.drop();
  for (let attempt = 0; attempt < 4; attempt += 1) {
    for (const code of ['resync', 'name-taken']) {
      const next = code === 'resync' ? await nextSocket() : FakeSocket.last;
      next.open();
      await flushTasks();
      next.deliver({ type: 'error', code, message: 'no' });
      await flushTasks();
    }
  }
  assert.deepEqual([client.state, client.problem.code], ['closed', 'name-taken']);
});

test('a connection without a pong is given up after 5 s', async () => {
  const { client, socket } = await signedIn();
  mock.timers.tick(25_000);
  assert.equal(socket.sentOf('ping').length, 1);
  socket.deliver({ type: 'pong' });
  mock.timers.tick(25_000);
  assert.equal(client.state, 'connected');
  mock.timers.tick(5_000);
  assert.equal(client.state, 'reconnecting');
  assert.ok(socket.closed);
});

test('reconnect() checks the connection, or reconnects without waiting', async () => {
  const { client, socket } = await signedIn();
  client.reconnect();
  assert.equal(socket.sentOf('ping').length, 1);
  mock.timers.tick(2_500);
  assert.equal(client.state, 'reconnecting');
  client.reconnect();
  await flushTasks();
  assert.equal(FakeSocket.all.length, 2);
});

test('the client sends bye last, and does not reconnect after it', async () => {
  const { client, socket } = await signedIn();
  client.close();
  assert.deepEqual(socket.sent.at(-1), { type: 'bye' });
  assert.equal(client.state, 'closed');
  await assert.rejects(client.send('bo', 'note', 1), { code: 'closed' });
  mock.timers.tick(60_000);
  await flushTasks();
  assert.equal(FakeSocket.all.length, 1);
});

test('the delay before an attempt doubles, with a lower maximum during a call', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 9].map((n) => retryDelay(n, false, 1)), [300, 600, 1200, 2400, 4800, 20_000]);
  assert.deepEqual([0, 3, 9].map((n) => retryDelay(n, true, 1)), [300, 2400, 2500]);
  assert.equal(retryDelay(0, true, 0), 150);
});

/** A fetch that behaves like a server of the event transport. */
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
    stream.deliver = (text) => stream.controller.enqueue(encoder.encode(text));
    signal.addEventListener('abort', () => stream.controller.error(new Error('aborted')));
    server.streams.push(stream);
    stream.deliver('data: {"type":"resumed","id":"id","name":"al","seq":0}\n\n');
    return new Response(readable);
  };
  return server;
}

test('a client whose WebSocket does not open uses events after 3 s', async () => {
  const server = eventServer();
  const connecting = start({ environment: { WebSocket: FakeSocket, fetch: server.fetch } });
  await flushTasks();
  mock.timers.tick(3_000); // the handshake gets no response
  const client = await connecting;
  assert.equal(client.transport, 'events');
  assert.ok(FakeSocket.last.closed);
  assert.deepEqual(server.hello, { type: 'hello', v: 1, name: 'al' });
  const [stream] = server.streams;
  assert.equal(stream.headers.Authorization, 'Bearer secret');

  const received = [];
  client.on('message', ({ data }) => received.push(data));
  stream.deliver('id: 1\ndata: {"seq":1,"type":"message","from":"x","kind":"n","da');
  stream.deliver('ta":"ä"}\n\n: \n\n');
  await flushTasks();
  assert.deepEqual(received, ['ä']);

  const unanswered = [1, 2].map((n) => assert.rejects(client.send('bo', 'note', n), { code: 'closed' }));
  await flushTasks();
  assert.deepEqual(server.posts.flat().filter(({ type }) => type === 'send').map(({ seq }) => seq), [1, 2]);
  mock.timers.tick(25_000); // the stream stays silent
  assert.equal(client.state, 'reconnecting');
  client.close();
  await Promise.all(unanswered);
});

test('with the transport events, the client never tries a WebSocket', async () => {
  const server = eventServer();
  const client = await start({ transport: 'events', environment: { WebSocket: FakeSocket, fetch: server.fetch } });
  assert.equal(client.transport, 'events');
  assert.equal(FakeSocket.all.length, 0);
  client.close({ unloading: true });
  await flushTasks();
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
