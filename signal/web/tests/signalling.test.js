import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { explainUnreachable, parse, Signalling } from '../static/assets/call/signalling.js';
import { Refusal } from '../static/assets/basics/server.js';

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
});

/** A socket that a test opens, fills and closes. */
class FakeSocket {
  static last;
  readyState = 0;
  sent = [];

  constructor(address) {
    this.address = String(address);
    FakeSocket.last = this;
  }

  open() {
    this.readyState = 1;
    this.onopen?.();
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  receive(value) {
    this.onmessage?.({ data: typeof value === 'string' ? value : JSON.stringify(value) });
  }

  close() {
    this.readyState = 3;
    this.onclose?.();
  }
}

function connect() {
  const seen = { messages: [], lost: 0 };
  const signalling = new Signalling(new URL('ws://host/ws'), {
    message: (message) => seen.messages.push(message),
    lost: () => (seen.lost += 1),
  }, FakeSocket);
  return { signalling, socket: FakeSocket.last, seen };
}

test('signs in, past a greeting in plain text, and passes messages on', async () => {
  const { signalling, socket, seen } = connect();
  const reply = signalling.signIn('alice');
  socket.open();
  socket.receive('Hello world');
  socket.receive({ type: 'login', success: true, iceServers: [] });
  assert.deepEqual(await reply, { type: 'login', success: true, iceServers: [] });
  assert.deepEqual(socket.sent, [{ type: 'login', name: 'alice' }]);
  socket.receive({ type: 'leave' });
  socket.receive('null');
  socket.receive('[]');
  assert.deepEqual(seen.messages, [{ type: 'leave' }]);
  assert.equal(signalling.send({ type: 'leave', name: 'bob' }), true);
  socket.close();
  assert.equal(seen.lost, 1);
  assert.equal(signalling.send({ type: 'leave', name: 'bob' }), false);
});

test('a taken name is told apart from a refused one', async () => {
  for (const [reply, code, words] of [
    [{ type: 'login', success: false }, 'taken', /signed in with this name already/],
    [{ type: 'login', success: false, code: 'name-taken', message: 'x' }, 'taken', /signed in with this name already/],
    [{ type: 'login', success: false, code: 'bad-name', message: 'a name has 1 to 128 bytes' }, 'refused', /can’t be used/],
    [{ type: 'login', success: false, code: 'unavailable', message: 'try again later' }, 'unavailable', /^Try again later\.$/],
    [{ type: 'error', code: 'restarting', message: 'about to restart.' }, 'unavailable', /^About to restart\.$/],
  ]) {
    const { signalling, socket, seen } = connect();
    const signIn = signalling.signIn('alice');
    socket.open();
    socket.receive(reply);
    await assert.rejects(signIn, (failure) => failure.code === code && words.test(failure.message));
    assert.equal(socket.readyState, 3, 'the socket is closed');
    assert.equal(seen.lost, 0);
  }
});

test('a socket that never opens, or a hub that never answers', async () => {
  const closed = connect();
  const first = closed.signalling.signIn('alice');
  closed.socket.close();
  await assert.rejects(first, { code: 'unreachable' });
  const silent = connect();
  const second = silent.signalling.signIn('alice');
  silent.socket.open();
  mock.timers.tick(10_000);
  await assert.rejects(second, { code: 'unreachable', message: /did not answer in time/ });
});

test('frames that are no messages', () => {
  for (const frame of ['', 'Hello', 'null', '1', '"x"', '[]', '{}', '{"type":1}']) assert.equal(parse(frame), null, frame);
  assert.deepEqual(parse('{"type":"leave"}'), { type: 'leave' });
});

test('why no connection can be made', async () => {
  const refusing = (status, code = '') => async () => { throw new Refusal(status, code, false); };
  const why = (ask) => explainUnreachable('https://host/', ask);
  assert.equal((await why(refusing(401, 'no-key'))).code, 'refused');
  assert.equal((await why(refusing(503))).code, 'unavailable');
  assert.match((await why(refusing(401))).message, /wants a key/);
  assert.match((await why(async () => ({}))).message, /no WebSocket connection/);
  assert.deepEqual({ ...(await why(async () => { throw new Error('down'); })) }, { code: 'unreachable' });
});
