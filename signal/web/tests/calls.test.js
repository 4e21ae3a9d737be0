import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { connected, FakeHub, turn } from './hub.js';

// The clock stands still unless a test moves it: what rings would ring on.
beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
});

/** Two people at a hub. */
function pair(options) {
  const hub = new FakeHub(options);
  return { hub, alice: hub.join('alice'), bob: hub.join('bob') };
}

for (const named of [false, true]) {
  test(`a call is offered, answered and connected (names in every message: ${named})`, async () => {
    const { hub, alice, bob } = pair({ named });
    await connected(hub, alice, bob);
    assert.deepEqual(alice.states, ['preparing', 'ringing', 'connecting', 'in-call']);
    assert.deepEqual(bob.states, ['incoming', 'preparing', 'connecting', 'in-call']);
    assert.deepEqual(alice.peer.done, ['offer', 'accept answer-sdp']);
    assert.deepEqual(bob.peer.done, ['answer offer-sdp']);
  });
}

test('candidates that come before the answer wait for it', async () => {
  const { hub, alice, bob } = pair();
  void alice.calls.start('bob');
  await hub.settle();
  alice.peer.hooks.candidate({ candidate: 'a1' });
  alice.peer.hooks.candidate({ candidate: 'a2' });
  await hub.settle();
  assert.equal(bob.peers.length, 0);
  void bob.calls.accept();
  await hub.settle();
  assert.deepEqual(bob.peer.done, ['answer offer-sdp', 'candidate a1', 'candidate a2']);
});

test('who is called sees nothing open before accepting', async () => {
  const { hub, alice, bob } = pair();
  void alice.calls.start('bob');
  await hub.settle();
  assert.equal(bob.calls.state, 'incoming');
  assert.equal(bob.streams.length, 0);
});

test('hanging up ends both sides and gives devices back', async () => {
  const { hub, alice, bob } = pair();
  await connected(hub, alice, bob);
  alice.calls.hangUp();
  await hub.settle();
  assert.equal(bob.calls.state, 'idle');
  assert.equal(bob.calls.notice, 'alice hung up.');
  assert.equal(alice.calls.notice, '');
  for (const person of [alice, bob]) {
    assert.equal(person.peer.done.at(-1), 'close');
    assert.ok(person.streams[0].released);
  }
});

test('a second call needs no reload', async () => {
  const { hub, alice, bob } = pair();
  await connected(hub, alice, bob);
  bob.calls.hangUp();
  await hub.settle();
  await connected(hub, bob, alice);
  assert.equal(alice.calls.state, 'in-call');
  assert.equal(alice.peers.length, 2);
});

test('declining tells the caller', async () => {
  const { hub, alice, bob } = pair();
  void alice.calls.start('bob');
  await hub.settle();
  bob.calls.hangUp();
  await hub.settle();
  assert.equal(alice.calls.state, 'idle');
  assert.equal(alice.calls.notice, 'bob declined, or is in another call.');
});

test('a caller who gives up stops the ringing', async () => {
  const { hub, alice, bob } = pair();
  void alice.calls.start('bob');
  await hub.settle();
  alice.calls.hangUp();
  await hub.settle();
  assert.equal(bob.calls.state, 'idle');
  assert.equal(bob.calls.notice, 'alice called, and hung up again.');
});

test('nobody answers', async () => {
  const { hub, alice, bob } = pair();
  void alice.calls.start('bob');
  await hub.settle();
  mock.timers.tick(45_000);
  await hub.settle();
  assert.equal(alice.calls.notice, 'bob did not answer.');
  assert.equal(bob.calls.state, 'idle');
});

test('calling who is not signed in', async () => {
  const { hub, alice } = pair();
  void alice.calls.start('carol');
  await hub.settle();
  assert.equal(alice.calls.state, 'idle');
  assert.match(alice.calls.notice, /^carol is not signed in\./);
  assert.ok(alice.streams[0].released);
});

test('errors that name nobody, or come later, end nothing', async () => {
  const { hub, alice, bob } = pair();
  void alice.calls.start('bob');
  await hub.settle();
  alice.calls.receive({ type: 'error', code: 'rate-limited', message: 'too many messages' });
  assert.equal(alice.calls.state, 'ringing');
  alice.calls.receive({ type: 'error', code: 'peer-busy', name: 'bob', message: 'too many of your messages wait' });
  assert.equal(alice.calls.notice, 'Too many of your messages wait.');
  bob.calls.hangUp();
  await hub.settle();
  await connected(hub, alice, bob);
  alice.calls.receive({ type: 'error', code: 'peer-offline', name: 'bob' });
  assert.equal(alice.calls.state, 'in-call');
});

test('calling without a connection to the hub', async () => {
  const { hub, alice } = pair();
  alice.online = false;
  void alice.calls.start('bob');
  await hub.settle();
  assert.match(alice.calls.notice, /no connection to the server/);
});

test('devices that are refused end the call in words, and tell the caller', async () => {
  const { hub, alice, bob } = pair();
  void alice.calls.start('bob');
  await hub.settle();
  bob.devices = Promise.reject(new Error('No camera.'));
  void bob.calls.accept();
  await hub.settle();
  assert.equal(bob.calls.notice, 'No camera.');
  assert.equal(alice.calls.state, 'idle');
});

test('what only the browser has words for is said to be the browser’s', async () => {
  const { hub, alice } = pair();
  alice.devices = Promise.reject(new TypeError('x is not y'));
  void alice.calls.start('bob');
  await hub.settle();
  assert.equal(alice.calls.notice, 'The browser could not set up the call (x is not y).');
});

test('devices that open after hanging up are given back', async () => {
  const { hub, alice } = pair();
  const { promise, resolve } = deferred();
  alice.devices = promise;
  void alice.calls.start('bob');
  alice.calls.hangUp();
  resolve();
  await hub.settle();
  assert.ok(alice.streams[0].released);
  assert.equal(alice.peers.length, 0);
});

test('a third one who calls is turned away, the call goes on', async () => {
  const { hub, alice, bob } = pair({ named: true });
  const carol = hub.join('carol');
  await connected(hub, alice, bob);
  void carol.calls.start('alice');
  await hub.settle();
  assert.equal(alice.calls.state, 'in-call');
  assert.equal(alice.calls.notice, 'carol tried to call you.');
  assert.equal(carol.calls.state, 'idle');
  carol.calls.hangUp();
  await hub.settle();
  assert.equal(alice.calls.state, 'in-call');
});

test('both call at once: one offer wins and both are connected', async () => {
  const { hub, alice, bob } = pair();
  void alice.calls.start('bob');
  void bob.calls.start('alice');
  await turn();
  assert.deepEqual([alice.calls.state, bob.calls.state], ['ringing', 'ringing']);
  await hub.settle();
  assert.deepEqual([alice.calls.state, bob.calls.state], ['connecting', 'connecting']);
  assert.equal(alice.calls.call.id, bob.calls.call.id);
  assert.ok(alice.calls.call.ours, 'the name that sorts first keeps its offer');
  assert.equal(bob.streams.length, 1, 'the devices stay open');
  assert.ok(!bob.streams[0].released);
  assert.deepEqual(bob.peers[0].done, ['offer', 'close']);
  bob.peers[0].hooks.candidate({ candidate: 'stale' });
  await hub.settle();
  assert.deepEqual(alice.peer.done, ['offer', 'accept answer-sdp']);
});

test('both call, one of them before the devices are open', async () => {
  const { hub, alice, bob } = pair();
  const { promise, resolve } = deferred();
  alice.devices = promise;
  void alice.calls.start('bob');
  void bob.calls.start('alice');
  await hub.settle();
  assert.equal(alice.calls.state, 'preparing');
  resolve();
  await hub.settle();
  assert.deepEqual([alice.calls.state, bob.calls.state], ['connecting', 'connecting']);
  assert.equal(alice.streams.filter(({ released }) => !released).length, 1);
});

test('what belongs to another call is dropped', async () => {
  const { hub, alice, bob } = pair();
  await connected(hub, alice, bob);
  const before = [...alice.peer.done];
  alice.calls.receive({ type: 'candidate', candidate: { candidate: 'x', call: 'another' } });
  alice.calls.receive({ type: 'candidate', name: 'carol', candidate: { candidate: 'x' } });
  alice.calls.receive({ type: 'answer', answer: { type: 'answer', sdp: 'x', call: 'another' } });
  alice.calls.receive({ type: 'leave', name: 'carol' });
  alice.calls.receive({ type: 'offer', name: 'bob', offer: { type: 'offer', sdp: 'x', call: alice.calls.call.id } });
  assert.deepEqual(alice.peer.done, before);
  assert.equal(alice.calls.state, 'in-call');
});

test('messages out of turn or of unknown kinds harm nothing', () => {
  const { alice } = pair();
  for (const message of [
    { type: 'answer', answer: { type: 'answer', sdp: 'x' } }, { type: 'answer' }, { type: 'candidate' },
    { type: 'leave' }, { type: 'offer' }, { type: 'offer', name: 'bob' }, { type: 'error' }, { type: 'news' },
  ]) alice.calls.receive(message);
  assert.equal(alice.calls.state, 'idle');
});

test('an unmodified classic client, without call ids', async () => {
  const { hub, alice, bob } = pair();
  alice.calls.receive({ type: 'offer', name: 'bob', offer: { type: 'offer', sdp: 'classic' } });
  alice.calls.receive({ type: 'candidate', candidate: { candidate: 'c1' } });
  void alice.calls.accept();
  await turn();
  assert.deepEqual(alice.peer.done, ['answer classic', 'candidate c1']);
  alice.calls.receive({ type: 'leave' });
  assert.equal(alice.calls.notice, 'bob hung up.');
  hub.waiting = [];
  void alice.calls.start('bob');
  await turn();
  alice.calls.receive({ type: 'answer', answer: { type: 'answer', sdp: 'classic' } });
  assert.equal(alice.calls.state, 'connecting');
  assert.equal(bob.calls.state, 'idle');
});

test('who calls again after losing the call replaces it', async () => {
  const { hub, alice, bob } = pair();
  await connected(hub, alice, bob);
  alice.calls.receive({ type: 'offer', name: 'bob', offer: { type: 'offer', sdp: 'new', call: 'new' } });
  assert.equal(alice.calls.state, 'incoming');
  assert.equal(alice.peers[0].done.at(-1), 'close');
});

test('a leave that the hub sends for a broken socket does not end a call that goes on', async () => {
  const { hub, alice, bob } = pair();
  await connected(hub, alice, bob);
  alice.peer.tellsWhenGone = true;
  alice.calls.receive({ type: 'leave' });
  assert.equal(alice.calls.state, 'in-call');
  mock.timers.tick(2_000);
  assert.equal(alice.calls.state, 'in-call');
  assert.equal(alice.calls.notice, 'bob lost the connection to the server. The call goes on.');
});

test('a control channel that closes ends the call, with or without a leave', async () => {
  const { hub, alice, bob } = pair();
  await connected(hub, alice, bob);
  alice.peer.tellsWhenGone = true;
  alice.calls.receive({ type: 'leave' });
  alice.peer.hooks.gone();
  assert.equal(alice.calls.state, 'idle');
  assert.equal(alice.calls.notice, 'bob hung up.');
});

test('losing the hub ends a call that only rings, not one with media', async () => {
  const { hub, alice, bob } = pair();
  void alice.calls.start('bob');
  await hub.settle();
  alice.calls.hubLost();
  assert.match(alice.calls.notice, /was lost before the call began/);
  bob.calls.hangUp();
  await hub.settle();
  await connected(hub, alice, bob);
  alice.calls.hubLost();
  assert.equal(alice.calls.state, 'in-call');
});

test('an interruption comes and goes, a failure ends the call', async () => {
  const { hub, alice, bob } = pair();
  await connected(hub, alice, bob);
  alice.peer.hooks.state('disconnected');
  assert.equal(alice.calls.state, 'interrupted');
  alice.peer.hooks.state('connected');
  assert.equal(alice.calls.state, 'in-call');
  alice.peer.hooks.state('disconnected');
  alice.peer.hooks.state('failed');
  assert.match(alice.calls.notice, /^The connection to bob broke off\./);
  await hub.settle();
  assert.equal(bob.calls.state, 'idle');
});

test('no way through says so', async () => {
  const { hub, alice, bob } = pair();
  void alice.calls.start('bob');
  await hub.settle();
  void bob.calls.accept();
  await hub.settle();
  alice.peer.hooks.state('failed');
  assert.match(alice.calls.notice, /^No way was found to connect you and bob\./);
});

/** A promise with its resolve, which Node 20 has no function for. */
function deferred() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve };
}
