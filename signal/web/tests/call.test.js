import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { FakePeerConnection, turn } from './fakes.js';
import { FakeHub } from './hub.js';

beforeEach(() => {
  FakePeerConnection.all = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1_000_000 });
});

const connectionTo = (person, other) => person.call.parties.find(({ name }) => name === other.name)?.connection;

/** Two in a call, connected. */
async function pair(tags = ['a', 'b']) {
  const hub = new FakeHub();
  const al = await hub.person('al', tags[0]);
  const bo = await hub.person('bo', tags[1]);
  await hub.enter(al, bo);
  for (const connection of FakePeerConnection.all) connection.become('connected');
  return { hub, al, bo };
}

test('who joins later offers the connection, whoever is polite', async () => {
  for (const tags of [['a', 'b'], ['b', 'a']]) {
    FakePeerConnection.all = [];
    const { al, bo } = await pair(tags);
    assert.deepEqual(connectionTo(bo, al).done, ['local offer', 'remote answer 1']);
    assert.deepEqual(connectionTo(al, bo).done, ['remote offer 1', 'local answer']);
    assert.deepEqual([al.call.state, bo.call.state], ['connected', 'connected']);
    for (const [one, other] of [[al, bo], [bo, al]]) {
      const sent = connectionTo(one, other).getTransceivers().map(({ kind, direction, sender }) => [kind, direction, sender.track?.kind]);
      assert.deepEqual(sent, [['audio', 'sendrecv', 'audio'], ['video', 'sendrecv', 'video']]);
    }
  }
});

test('a mesh: each is connected to each, and one who leaves to nobody', async () => {
  const hub = new FakeHub();
  const people = [await hub.person('al'), await hub.person('bo'), await hub.person('cy')];
  await hub.enter(...people);
  assert.equal(FakePeerConnection.all.length, 6);
  for (const connection of FakePeerConnection.all) assert.equal(connection.signalingState, 'stable');
  people[1].call.leave();
  await hub.settle();
  for (const i of [0, 2]) {
    assert.deepEqual(people[i].call.parties.map(({ name }) => name), [['cy'], [], ['al']][i]);
    assert.deepEqual(people[i].events.at(-1), ['left', 'left']);
  }
  people[0].call.hangUp();
  await hub.settle();
  assert.deepEqual(people[2].events.at(-1), ['end', 'hangup']);
  assert.equal(people[2].call.state, 'ended');
});

test('pictures are smaller the more they are sent to', async () => {
  const hub = new FakeHub();
  const names = ['al', 'bo', 'cy', 'di', 'ed', 'fa', 'gu', 'ha'];
  const people = [];
  for (const name of names) people.push(await hub.person(name));
  const [al, ...others] = people;
  const encoding = (other) => connectionTo(al, other)?.getTransceivers().find(({ kind }) => kind === 'video').sender.getParameters().encodings[0];
  const seen = [];
  await hub.enter(al);
  for (const [i, other] of others.entries()) {
    await hub.enter(other);
    for (const connection of FakePeerConnection.all) connection.become('connected');
    await turn();
    const all = others.slice(0, i + 1).map(encoding);
    for (const one of all) assert.deepEqual(one, all[0]);
    seen.push([all[0].maxBitrate, all[0].scaleResolutionDownBy]);
  }
  assert.deepEqual(seen, [
    [undefined, undefined], [1_200_000, 1], [600_000, 2], [600_000, 2], [300_000, 4], [300_000, 4], [300_000, 4],
  ]);
  await al.media.shareScreen();
  await turn();
  assert.deepEqual(encoding(others[0]), { active: true, maxBitrate: 300_000, scaleResolutionDownBy: 1 });
  for (const other of others.slice(1)) other.call.leave();
  await hub.settle();
  assert.deepEqual(encoding(others[0]), { active: true, scaleResolutionDownBy: 1 });
});

test('when both negotiate at once, who is polite gives way', async () => {
  const { hub, al, bo } = await pair(); // al is polite
  const [ours, theirs] = [connectionTo(al, bo), connectionTo(bo, al)];
  for (const connection of [ours, theirs]) {
    connection.done = [];
    connection.restartIce();
  }
  await hub.settle();
  assert.deepEqual(theirs.done, ['restart', 'local offer', 'remote answer 3']); // bo goes through with it
  assert.ok(ours.done.includes('remote offer 2') && ours.done.at(-1) === 'local answer');
  for (const connection of [ours, theirs]) assert.equal(connection.signalingState, 'stable');
});

test('candidates that come before the description wait for it', async () => {
  const hub = new FakeHub();
  const [al, bo] = [await hub.person('al'), await hub.person('bo')];
  await hub.enter(al, bo);
  const connection = connectionTo(al, bo);
  assert.deepEqual(connection.done, ['remote offer 1', 'local answer']);
  const cy = await hub.person('cy');
  hub.tell(al, { type: 'message', from: 'cy-3', fromName: 'cy', kind: 'candidate', data: { candidate: 'lost' } }); // of nobody
  await hub.enter(cy);
  const waits = FakePeerConnection.all.at(-1);
  const party = al.call.parties.find(({ name }) => name === 'cy');
  assert.equal(party.connection.done.filter((one) => one.startsWith('candidate')).length, 0);
  hub.tell(al, { type: 'message', from: cy.id, kind: 'candidate', data: { candidate: 'c1' } });
  await hub.settle();
  assert.equal(party.connection.done.at(-1), 'candidate c1');
  assert.ok(waits);
});

test('a broken connection gets another way: first by who is impolite, then again', async () => {
  const { hub, al, bo } = await pair();
  for (const [one, other] of [[al, bo], [bo, al]]) {
    connectionTo(one, other).done = [];
    connectionTo(one, other).become('disconnected');
  }
  assert.equal(al.call.state, 'interrupted');
  mock.timers.tick(1_200);
  await hub.settle();
  assert.ok(connectionTo(bo, al).done.includes('restart'));
  assert.ok(!connectionTo(al, bo).done.includes('restart'), 'both restart');
  connectionTo(bo, al).done = [];
  mock.timers.tick(7_000);
  await hub.settle();
  assert.ok(connectionTo(bo, al).done.includes('restart'));
  connectionTo(bo, al).become('connected');
  connectionTo(bo, al).done = [];
  mock.timers.tick(60_000);
  assert.deepEqual(connectionTo(bo, al).done, []);
});

test('who can’t be told restarts as soon as it can', async () => {
  const { hub, al, bo } = await pair();
  bo.online = false;
  connectionTo(bo, al).done = [];
  connectionTo(bo, al).become('failed');
  mock.timers.tick(1_000);
  await hub.settle();
  assert.deepEqual(connectionTo(bo, al).done, []);
  bo.online = true;
  bo.call.resumed();
  await hub.settle();
  assert.ok(connectionTo(bo, al).done.includes('restart'));
});

test('a connection that never comes about is given up', async () => {
  const hub = new FakeHub();
  const [al, bo] = [await hub.person('al'), await hub.person('bo')];
  await hub.enter(al, bo);
  const connection = connectionTo(bo, al);
  connection.become('failed');
  mock.timers.tick(100);
  await hub.settle();
  assert.ok(connection.done.includes('restart'));
  mock.timers.tick(20_000);
  connection.become('failed');
  mock.timers.tick(100);
  assert.deepEqual(bo.events.at(-1), ['left', 'no-route']);
  assert.equal(connection.done.at(-1), 'close');
});

test('after a restart of the server both know each other again, keep their connection and look for another way', async () => {
  const { hub, al, bo } = await pair();
  const before = [connectionTo(al, bo), connectionTo(bo, al)];
  for (const connection of before) connection.done = [];
  hub.restart();
  await al.call.rejoin();
  await hub.settle();
  assert.equal(al.restored, 'proof 1');
  await bo.call.rejoin();
  await hub.settle();
  assert.deepEqual([connectionTo(al, bo), connectionTo(bo, al)], before);
  assert.ok(before[1].done.includes('restart'), 'who came later restarts');
  assert.ok(!before[0].done.includes('restart'), 'who came first restarts as well');
  assert.deepEqual(before.map(({ configuration }) => configuration.iceServers[0].urls), ['turn:3', 'turn:4']);
  assert.deepEqual([al.call.parties[0].id, bo.call.parties[0].id], [bo.id, al.id]);
  for (const person of [al, bo]) assert.ok(!person.events.some(([type]) => type === 'left' || type === 'end'));
  mock.timers.tick(120_000);
  assert.equal(al.call.parties.length, 1);
});

test('what was being negotiated when the server restarted is begun again', async () => {
  const { hub, al, bo } = await pair();
  const connection = connectionTo(bo, al);
  hub.deaf = true;
  connection.restartIce();
  await hub.settle();
  assert.equal(connection.signalingState, 'have-local-offer');
  hub.deaf = false;
  hub.restart();
  await bo.call.rejoin();
  await al.call.rejoin();
  await hub.settle();
  assert.ok(connection.done.includes('rollback'));
  assert.equal(connection.signalingState, 'stable');
});

test('a page that was reloaded is somebody new, and the old one goes', async () => {
  const { hub, al, bo } = await pair();
  const old = connectionTo(al, bo);
  hub.members.delete(bo.id);
  hub.tell(al, { type: 'party-left', id: bo.id, name: 'bo', reason: 'gone' });
  await hub.settle();
  assert.equal(al.call.parties.length, 1, 'its media may flow on');
  const again = await hub.person('bo', 'z');
  await hub.enter(again);
  assert.equal(al.call.parties.length, 1);
  assert.equal(old.done.at(-1), 'close');
  assert.notEqual(connectionTo(al, again), old);
});

test('who is gone for good goes when the media stop', async () => {
  const { hub, al, bo } = await pair();
  hub.members.delete(bo.id);
  hub.tell(al, { type: 'party-left', id: bo.id, name: 'bo', reason: 'gone' });
  await hub.settle();
  mock.timers.tick(60_000);
  assert.equal(al.call.parties.length, 1);
  connectionTo(al, bo).become('disconnected');
  mock.timers.tick(30_000);
  assert.deepEqual(al.events.at(-1), ['left', 'gone']);
  assert.equal(al.call.state, 'waiting');
});

test('another kind of client is offered a connection all the same', async () => {
  const hub = new FakeHub();
  const bo = await hub.person('bo');
  hub.members.set('x', { id: 'x', name: 'old', call: { receive: () => {} } });
  await hub.enter(bo);
  assert.equal(bo.call.parties.length, 0);
  mock.timers.tick(3_000);
  await turn();
  const [party] = bo.call.parties;
  assert.deepEqual(party.connection.done, ['local offer']);
  assert.equal(party.connection.configuration.bundlePolicy, 'balanced');
  hub.tell(bo, { type: 'message', from: 'x', fromName: 'old', kind: 'hi', data: { tag: 't', know: ['bo'] } });
  await hub.settle();
  assert.deepEqual(bo.call.parties, [party], 'one who says hi late is somebody else');
  party.restart();
  assert.ok(party.connection.done.includes('restart'));
});

test('who has lost the connection gets another one, and a call between two does not end by that', async () => {
  const { hub, al, bo } = await pair();
  al.call.name = 'bo';
  const before = connectionTo(al, bo);
  hub.restart();
  await al.call.rejoin();
  bo.call.remove(bo.call.parties[0], 'gone');
  await bo.call.rejoin();
  await hub.settle();
  assert.equal(before.done.at(-1), 'close');
  assert.deepEqual([al.call.state, al.call.parties.length, bo.call.parties.length], ['interrupted', 1, 1]);
  assert.equal(connectionTo(al, bo).signalingState, 'stable');
});

test('nobody takes a connection over with the tag of somebody who is there', async () => {
  const hub = new FakeHub();
  const [al, bo] = [await hub.person('al', 'a'), await hub.person('bo', 'b')];
  await hub.enter(al, bo);
  const thief = await hub.person('cy', 'b');
  await hub.enter(thief);
  assert.equal(al.call.parties.find(({ name }) => name === 'bo')?.id, bo.id);
  assert.equal(connectionTo(al, bo).signalingState, 'stable');
});

test('who is missed is not taken for another kind of client, however slow its hi', async () => {
  const { hub, al, bo } = await pair();
  hub.restart();
  for (const one of [bo, al]) {
    const joined = one.call.rejoin();
    hub.deaf = true;
    await joined;
    await hub.settle();
  }
  mock.timers.tick(4_000);
  await hub.settle();
  assert.equal(FakePeerConnection.all.length, 2);
});

test('data, and what one shows, go from browser to browser', async () => {
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
  al.call.send('lost'); // waits for a channel that never opens
  theirs.onmessage({ data: '{"bye":true}' });
  assert.deepEqual(bo.events.at(-1), ['left', 'left']);
});
