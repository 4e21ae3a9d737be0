import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { delay, Presence } from '../static/assets/call/presence.js';
import { SignInError } from '../static/assets/call/signalling.js';
import { turn } from './hub.js';

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
});

/** A presence whose sign-ins end as a test says: null for success, else the error. */
function setUp(...ends) {
  const seen = { states: [], connections: [], messages: [], replies: [] };
  const presence = new Presence({
    connect: (hooks) => {
      const connection = {
        hooks,
        closed: false,
        sent: [],
        async signIn(name) {
          const end = ends.shift() ?? null;
          if (end) throw end;
          return { type: 'login', success: true, name };
        },
        send(message) {
          this.sent.push(message);
          return true;
        },
        close() {
          this.closed = true;
        },
      };
      seen.connections.push(connection);
      return connection;
    },
    explain: async () => new SignInError('unreachable', 'explained'),
    welcome: (reply) => seen.replies.push(reply),
    message: (message) => seen.messages.push(message),
    change: () => seen.states.push(presence.state),
  });
  return { presence, seen };
}

const taken = () => new SignInError('taken', 'taken');
const refused = () => new SignInError('refused', 'refused');
const unreachable = () => new SignInError('unreachable', 'closed');

test('signs in and out', async () => {
  const { presence, seen } = setUp();
  assert.equal(presence.send({ type: 'leave' }), false);
  await presence.signIn('alice');
  assert.equal(presence.state, 'in');
  assert.equal(seen.replies.length, 1);
  assert.equal(presence.send({ type: 'leave' }), true);
  presence.signOut();
  assert.deepEqual(seen.states, ['joining', 'in', 'out']);
  assert.ok(seen.connections[0].closed);
  assert.equal(presence.send({ type: 'leave' }), false);
});

test('a first sign-in that fails is not tried again', async () => {
  for (const [end, problem] of [[taken(), 'taken'], [refused(), 'refused'], [unreachable(), 'explained']]) {
    const { presence, seen } = setUp(end);
    await presence.signIn('alice');
    assert.equal(presence.state, 'out');
    assert.equal(presence.problem, problem);
    assert.equal(seen.connections.length, 1);
  }
});

test('a lost connection is made again by itself, ever more slowly', async () => {
  const { presence, seen } = setUp(null, unreachable(), unreachable());
  await presence.signIn('alice');
  seen.connections[0].hooks.lost();
  assert.equal(presence.state, 'lost');
  for (const wait of [1_000, 2_000, 4_000]) {
    mock.timers.tick(wait);
    await turn();
  }
  assert.equal(presence.state, 'in');
  assert.equal(seen.connections.length, 4);
  assert.equal(seen.replies.length, 2);
});

test('reconnecting at once leaves no second attempt behind', async () => {
  const { presence, seen } = setUp();
  await presence.signIn('alice');
  seen.connections[0].hooks.lost();
  await presence.reconnect();
  assert.equal(presence.state, 'in');
  mock.timers.tick(60_000);
  await turn();
  assert.equal(seen.connections.length, 2);
});

test('a name that stays taken, or a refusal, ends it', async () => {
  const { presence, seen } = setUp(null, taken(), taken(), taken(), taken());
  await presence.signIn('alice');
  seen.connections[0].hooks.lost();
  for (let i = 0; i < 3; i += 1) {
    await presence.reconnect();
    assert.equal(presence.state, 'lost');
  }
  await presence.reconnect();
  assert.equal(presence.state, 'out');
  assert.equal(presence.problem, 'taken');

  const other = setUp(null, refused());
  await other.presence.signIn('alice');
  other.seen.connections[0].hooks.lost();
  await other.presence.reconnect();
  assert.equal(other.presence.state, 'out');
});

test('signing out while lost stops trying', async () => {
  const { presence, seen } = setUp();
  await presence.signIn('alice');
  seen.connections[0].hooks.lost();
  presence.signOut();
  mock.timers.tick(60_000);
  await turn();
  assert.equal(presence.state, 'out');
  assert.equal(seen.connections.length, 1);
});

test('the loss of an old connection is no news', async () => {
  const { presence, seen } = setUp();
  await presence.signIn('alice');
  seen.connections[0].hooks.lost();
  await presence.reconnect();
  seen.connections[0].hooks.lost();
  assert.equal(presence.state, 'in');
});

test('the waits double from one second to half a minute, with a spread of half', () => {
  assert.equal(delay(0, 1), 1_000);
  assert.equal(delay(0, 0), 500);
  assert.equal(delay(3, 1), 8_000);
  assert.equal(delay(40, 1), 30_000);
});
