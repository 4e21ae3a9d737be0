import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { FakePeerConnection, flushTasks } from './fakes.js';
import { FakeHub } from './hub.js';

beforeEach(() => {
  FakePeerConnection.all = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1_000_000 });
});

const connectionTo = (client, other) => client.call.parties.find(({ name }) => name === other.name)?.connection;

/** A call of two connected clients. */
async function pair(tags = ['a', 'b']) {
  const hub = new FakeHub();
  const al = await hub.addClient('al', tags[0]);
  const bo = await hub.addClient('bo', tags[1]);
  await hub.join(al, bo);
  for (const connection of FakePeerConnection.all) connection.setState('connected');
  return { hub, al, bo };
}

test('the client that joins later offers the connection, whether it is polite or not', async () => {
  for (const tags of [['a', 'b'], ['b', 'a']]) {
    FakePeerConnection.all = [];
    const { al, bo } = await pair(tags);
    assert.deepEqual(connectionTo(bo, al).log, ['local offer', 'remote answer 1']);
    assert.deepEqual(connectionTo(al, bo).log, ['remote offer 1', 'local answer']);
    assert.deepEqual([al.call.state, bo.call.state], ['connected', 'connected']);
    for (const [one, other] of [[al, bo], [bo, al]]) {
      const sent = connectionTo(one, other).getTransceivers().map(({ kind, direction, sender }) => [kind, direction, sender.track?.kind]);
      assert.deepEqual(sent, [['audio', 'sendrecv', 'audio'], ['video', 'sendrecv', 'video']]);
    }
  }
});

test('all parties are connected to each other, and disconnect from one that leaves', async () => {
  const hub = new FakeHub();
  const clients = [await hub.addClient('al'), await hub.addClient('bo'), await hub.addClient('cy')];
  await hub.join(...clients);
  assert.equal(FakePeerConnection.all.length, 6);
  for (const connection of FakePeerConnection.all) assert.equal(connection.signalingState, 'stable');
  clients[1].call.leave();
  await hub.deliverAll();
  for (const i of [0, 2]) {
    assert.deepEqual(clients[i].call.parties.map(({ name }) => name), [['cy'], [], ['al']][i]);
    assert.deepEqual(clients[i].events.at(-1), ['left', 'left']);
  }
  clients[0].call.hangUp();
  await hub.deliverAll();
  assert.deepEqual(clients[2].events.at(-1), ['end', 'hangup']);
  assert.equal(clients[2].call.state, 'ended');
});

test('the video is smaller the more parties it is sent to', async () => {
  const hub = new FakeHub();
  const names = ['al', 'bo', 'cy', 'di', 'ed', 'fa', 'gu', 'ha'];
  const clients = [];
  for (const name of names) clients.push(await hub.addClient(name));
  const [al, ...others] = clients;
  const encoding = (other) => connectionTo(al, other)?.getTransceivers().find(({ kind }) => kind === 'video').sender.getParameters().encodings[0];
  const seen = [];
  await hub.join(al);
  for (const [i, other] of others.entries()) {
    await hub.join(other);
    for (const connection of FakePeerConnection.all) connection.setState('connected');
    await flushTasks();
    const all = others.slice(0, i + 1).map(encoding);
    for (const one of all) assert.deepEqual(one, all[0]);
    seen.push([all[0].maxBitrate, all[0].scaleResolutionDownBy]);
  }
  assert.deepEqual(seen, [
    [undefined, undefined], [1_200_000, 1], [600_000, 2], [600_000, 2], [300_000, 4], [300_000, 4], [300_000, 4],
  ]);
  await al.media.shareScreen();
  await flushTasks();
  assert.deepEqual(encoding(others[0]), { active: true, maxBitrate: 300_000, scaleResolutionDownBy: 1 });
  for (const other of others.slice(1)) other.call.leave();
  await hub.deliverAll();
  assert.deepEqual(encoding(others[0]), { active: true, scaleResolutionDownBy: 1 });
});

test('when both negotiate at the same time, the polite one yields', async () => {
  const { hub, al, bo } = await pair(); // al is polite
  const [ours, theirs] = [connectionTo(al, bo), connectionTo(bo, al)];
  for (const connection of [ours, theirs]) {
    connection.log = [];
    connection.restartIce();
  }
  await hub.deliverAll();
  assert.deepEqual(theirs.log, ['restart', 'local offer', 'remote answer 3']); // bo is impolite, so its offer wins
  assert.ok(ours.log.includes('remote offer 2') && ours.log.at(-1) === 'local answer');
  for (const connection of [ours, theirs]) assert.equal(connection.signalingState, 'stable');
});

test('a candidate of an unknown client is ignored, and one of a party is added', async () => {
  const hub = new FakeHub();
  const [al, bo] = [await hub.addClient('al'), await hub.addClient('bo')];
  await hub.join(al, bo);
  const connection = connectionTo(al, bo);
  assert.deepEqual(connection.log, ['remote offer 1', 'local answer']);
  const cy = await hub.addClient('cy');
  hub.enqueue(al, { type: 'message', from: 'cy-3', fromName: 'cy', kind: 'candidate', data: { candidate: 'lost' } }); // before cy has joined
  await hub.join(cy);
  const party = al.call.parties.find(({ name }) => name === 'cy');
  assert.equal(party.connection.log.filter((one) => one.startsWith('candidate')).length, 0);
  hub.enqueue(al, { type: 'message', from: cy.id, kind: 'candidate', data: { candidate: 'c1' } });
  await hub.deliverAll();
  assert.equal(party.connection.log.at(-1), 'candidate c1');
});

test('an interrupted connection is restarted by the impolite side, and again until it works', async () => {
  const { hub, al, bo } = await pair();
  for (const [one, other] of [[al, bo], [bo, al]]) {
    connectionTo(one, other).log = [];
    connectionTo(one, other).setState('disconnected');
  }
  assert.equal(al.call.state, 'interrupted');
  mock.timers.tick(1_200);
  await hub.deliverAll();
  assert.ok(connectionTo(bo, al).log.includes('restart'));
  assert.ok(!connectionTo(al, bo).log.includes('restart'), 'both sides restart');
  connectionTo(bo, al).log = [];
  mock.timers.tick(7_000);
  await hub.deliverAll();
  assert.ok(connectionTo(bo, al).log.includes('restart'));
  connectionTo(bo, al).setState('connected');
  connectionTo(bo, al).log = [];
  mock.timers.tick(60_000);
  assert.deepEqual(connectionTo(bo, al).log, []);
});

test('a client without a server connection restarts ICE as soon as it is connected again', async () => {
  const { hub, al, bo } = await pair();
  bo.online = false;
  connectionTo(bo, al).log = [];
  connectionTo(bo, al).setState('failed');
  mock.timers.tick(1_000);
  await hub.deliverAll();
  assert.deepEqual(connectionTo(bo, al).log, []);
  bo.online = true;
  bo.call.onResumed();
  await hub.deliverAll();
  assert.ok(connectionTo(bo, al).log.includes('restart'));
});

test('a connection that never works is given up after 20 s', async () => {
  const hub = new FakeHub();
  const [al, bo] = [await hub.addClient('al'), await hub.addClient('bo')];
  await hub.join(al, bo);
  const connection = connectionTo(bo, al);
  connection.setState('failed');
  mock.timers.tick(100);
  await hub.deliverAll();
  assert.ok(connection.log.includes('restart'));
  mock.timers.tick(20_000);
  connection.setState('failed');
  mock.timers.tick(100);
  assert.deepEqual(bo.events.at(-1), ['left', 'no-route']);
  assert.equal(connection.log.at(-1), 'close');
});

test('after a restart of the server the clients recognize each other, keep their connection and restart ICE', async () => {
  const { hub, al, bo } = await pair();
  const before = [connectionTo(al, bo), connectionTo(bo, al)];
  for (const connection of before) connection.log = [];
  hub.restart();
  await al.call.rejoin();
  await hub.deliverAll();
  assert.equal(al.restored, 'proof 1');
  await bo.call.rejoin();
  await hub.deliverAll();
  assert.deepEqual([connectionTo(al, bo), connectionTo(bo, al)], before);
  assert.ok(before[1].log.includes('restart'), 'the client that joined later does not restart ICE');
  assert.ok(!before[0].log.includes('restart'), 'the client that joined first restarts ICE too');
  assert.deepEqual(before.map(({ configuration }) => configuration.iceServers[0].urls), ['turn:3', 'turn:4']);
  assert.deepEqual([al.call.parties[0].id, bo.call.parties[0].id], [bo.id, al.id]);
  for (const client of [al, bo]) assert.ok(!client.events.some(([type]) => type === 'left' || type === 'end'));
  mock.timers.tick(120_000);
  assert.equal(al.call.parties.length, 1);
});

test('an unfinished negotiation starts again after a restart of the server', async () => {
  const { hub, al, bo } = await pair();
  const connection = connectionTo(bo, al);
  hub.dropsMessages = true;
  connection.restartIce();
  await hub.deliverAll();
  assert.equal(connection.signalingState, 'have-local-offer');
  hub.dropsMessages = false;
  hub.restart();
  await bo.call.rejoin();
  await al.call.rejoin();
  await hub.deliverAll();
  assert.ok(connection.log.includes('rollback'));
  assert.equal(connection.signalingState, 'stable');
});

test('a reloaded page is a new party and replaces the old one', async () => {
  const { hub, al, bo } = await pair();
  const old = connectionTo(al, bo);
  hub.members.delete(bo.id);
  hub.enqueue(al, { type: 'party-left', id: bo.id, name: 'bo', reason: 'gone' });
  await hub.deliverAll();
  assert.equal(al.call.parties.length, 1, 'bo is removed although its media may still arrive');
  const again = await hub.addClient('bo', 'z');
  await hub.join(again);
  assert.equal(al.call.parties.length, 1);
  assert.equal(old.log.at(-1), 'close');
  assert.notEqual(connectionTo(al, again), old);
});

test('a party without a session is removed after its media stop', async () => {
  const { hub, al, bo } = await pair();
  hub.members.delete(bo.id);
  hub.enqueue(al, { type: 'party-left', id: bo.id, name: 'bo', reason: 'gone' });
  await hub.deliverAll();
  mock.timers.tick(60_000);
  assert.equal(al.call.parties.length, 1);
  connectionTo(al, bo).setState('disconnected');
  mock.timers.tick(30_000);
  assert.deepEqual(al.events.at(-1), ['left', 'gone']);
  assert.equal(al.call.state, 'waiting');
});

test('a client that says no hi is offered a connection as a foreign client', async () => {
  const hub = new FakeHub();
  const bo = await hub.addClient('bo');
  hub.members.set('x', { id: 'x', name: 'old', call: { receive: () => {} } });
  await hub.join(bo);
  assert.equal(bo.call.parties.length, 0);
  mock.timers.tick(3_000);
  await flushTasks();
  const [party] = bo.call.parties;
  assert.deepEqual(party.connection.log, ['local offer']);
  assert.equal(party.connection.configuration.bundlePolicy, 'balanced');
  hub.enqueue(bo, { type: 'message', from: 'x', fromName: 'old', kind: 'hi', data: { tag: 't', know: ['bo'] } });
  await hub.deliverAll();
  assert.deepEqual(bo.call.parties, [party], 'a late hi adds a second party');
  party.restartIce();
  assert.ok(party.connection.log.includes('restart'));
});

test('a client that has lost its connection gets a new one, without ending a call of two', async () => {
  const { hub, al, bo } = await pair();
  al.call.name = 'bo';
  const before = connectionTo(al, bo);
  hub.restart();
  await al.call.rejoin();
  bo.call.remove(bo.call.parties[0], 'gone');
  await bo.call.rejoin();
  await hub.deliverAll();
  assert.equal(before.log.at(-1), 'close');
  assert.deepEqual([al.call.state, al.call.parties.length, bo.call.parties.length], ['interrupted', 1, 1]);
  assert.equal(connectionTo(al, bo).signalingState, 'stable');
});

test('a client with the tag of a present party does not get its connection', async () => {
  const hub = new FakeHub();
  const [al, bo] = [await hub.addClient('al', 'a'), await hub.addClient('bo', 'b')];
  await hub.join(al, bo);
  const thief = await hub.addClient('cy', 'b');
  await hub.join(thief);
  assert.equal(al.call.parties.find(({ name }) => name === 'bo')?.id, bo.id);
  assert.equal(connectionTo(al, bo).signalingState, 'stable');
});

test('an absent party with a slow hi is not treated as a foreign client', async () => {
  const { hub, al, bo } = await pair();
  hub.restart();
  for (const one of [bo, al]) {
    const joined = one.call.rejoin();
    hub.dropsMessages = true;
    await joined;
    await hub.deliverAll();
  }
  mock.timers.tick(4_000);
  await hub.deliverAll();
  assert.equal(FakePeerConnection.all.length, 2);
});

test('data and the state of the media go from browser to browser', async () => {
  const { al, bo } = await pair();
  const [ours, theirs] = [connectionTo(al, bo).channel, connectionTo(bo, al).channel];
  const deliver = () => {
    for (const text of ours.sent.splice(0)) theirs.onmessage({ data: text });
  };
  deliver();
  al.call.send({ chat: 'hi' });
  al.media.muted = true;
  deliver();
  assert.deepEqual(bo.events.at(-1), ['data', { chat: 'hi' }]);
  assert.deepEqual(bo.call.parties[0].shows, { microphone: false, camera: true, sharing: false });
  await al.media.shareScreen();
  deliver();
  assert.ok(bo.call.parties[0].shows.sharing);
  assert.equal(connectionTo(al, bo).getTransceivers()[1].sender.track.deviceId, 'screen');
  theirs.onmessage({ data: 'no JSON' });
  ours.readyState = 'closed';
  al.call.send('lost'); // the channel never opens again
  theirs.onmessage({ data: '{"bye":true}' });
  assert.deepEqual(bo.events.at(-1), ['left', 'left']);
});
