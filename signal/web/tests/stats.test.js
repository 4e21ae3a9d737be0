import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bitrate, bytes, counted, duration, listed } from '../static/assets/basics/format.js';
import { addressWords, hops, pathWords } from '../static/assets/call/path.js';
import { qualityWords } from '../static/assets/call/words.js';
import { judge, rates, route, sample } from '../static/sdk/stats.js';

/** A statistics report like Chromium's, with the members that the SDK reads. */
function report({ local = {}, remote = {}, pair = {} } = {}) {
  return new Map(Object.entries({
    T: { type: 'transport', selectedCandidatePairId: 'P' },
    P: { type: 'candidate-pair', timestamp: 5000, localCandidateId: 'L', remoteCandidateId: 'R', bytesSent: 1000, bytesReceived: 2000, currentRoundTripTime: 0.012, ...pair },
    Q: { type: 'candidate-pair', nominated: true, state: 'succeeded', bytesSent: 7 },
    L: { type: 'local-candidate', candidateType: 'relay', protocol: 'udp', relayProtocol: 'tls', address: '203.0.113.7', port: 50000, url: 'turns:h:443?transport=tcp', ...local },
    R: { type: 'remote-candidate', candidateType: 'srflx', protocol: 'udp', address: '198.51.100.9', port: 60000, ...remote },
    V: { type: 'inbound-rtp', kind: 'video', framesDecoded: 150, frameWidth: 640, frameHeight: 360, framesPerSecond: 29.9, packetsLost: 2 },
    A: { type: 'inbound-rtp', kind: 'audio', packetsLost: 1 },
  }));
}

test('sample reads the pair in use and the video', () => {
  const now = sample(report());
  assert.equal(now.local.relayProtocol, 'tls');
  assert.deepEqual([now.local.type, now.remote.type], ['relay', 'srflx']);
  assert.deepEqual([now.bytesSent, now.bytesReceived, now.framesDecoded, now.packetsLost], [1000, 2000, 150, 3]);
});

test('sample finds the pair in use when the transport does not name it', () => {
  const firefox = report();
  firefox.delete('T');
  firefox.get('P').selected = true;
  assert.equal(sample(firefox).bytesSent, 1000);
  const other = report();
  other.delete('T');
  assert.equal(sample(other).bytesSent, 7);
});

test('an empty report has no pair', () => {
  const now = sample(new Map());
  assert.equal(now.local, null);
  assert.equal(pathWords(now, 'bob'), 'There is no connection yet.');
  assert.deepEqual(hops(now, 'bob'), []);
});

test('rates compares only samples of the same pair', () => {
  const first = sample(report());
  const second = sample(report({ pair: { timestamp: 7000, bytesSent: 2000, bytesReceived: 2500 } }));
  assert.deepEqual(rates(first, second), { sent: 4000, received: 2000 });
  assert.equal(rates(null, second), null);
  assert.equal(rates(second, second), null);
  assert.equal(rates(second, { ...first, time: 9000 }), null);
});

test('pathWords describes the route in words', () => {
  const pathOf = (local, remote) => pathWords(sample(report({ local, remote })), 'bob');
  assert.equal(pathOf({}, {}), 'Your video goes through this server’s relay over TLS. From there it goes straight to bob.');
  assert.equal(pathOf({ relayProtocol: 'udp' }, { candidateType: 'relay' }),
    'Your video goes through this server’s relay over UDP. bob uses a relay too.');
  assert.match(pathOf({ candidateType: 'host' }, { candidateType: 'relay' }), /over UDP to a relay that bob uses/);
  assert.match(pathOf({ candidateType: 'host', protocol: 'tcp' }, { candidateType: 'host' }), /straight to bob over TCP, within one network/);
  assert.match(pathOf({ candidateType: 'prflx' }, { candidateType: 'host' }), /through a router’s address translation/);
});

test('hops lists the places on the route', () => {
  const pathOf = (local, remote) => hops(sample(report({ local, remote })), 'bob')
    .map(({ transport, place }) => `${transport}>${place}`).join(' ');
  assert.equal(pathOf({}, {}), '>You TLS>Relay UDP>bob');
  assert.equal(pathOf({}, { candidateType: 'relay' }), '>You TLS>Relay UDP>bob’s relay …>bob');
  assert.equal(pathOf({ candidateType: 'host' }, {}), '>You UDP>bob');
});

test('addressWords formats an address', () => {
  assert.equal(addressWords({ address: '192.0.2.1', port: 9 }), '192.0.2.1:9');
  assert.equal(addressWords({ address: '2001:db8::1', port: 9 }), '[2001:db8::1]:9');
  assert.equal(addressWords({ address: '', port: 9 }), 'hidden by the browser, port 9');
});

test('numbers are formatted for people', () => {
  assert.deepEqual([0, 999, 1000, 9_940, 9_960, 999_600, 1_234_567_890].map(bytes),
    ['0 B', '999 B', '1.0 kB', '9.9 kB', '10 kB', '1.0 MB', '1.2 GB']);
  assert.equal(bitrate(2_140_000), '2.1 Mbit/s');
  assert.deepEqual([0, 7.9, 725, 3723].map(duration), ['0:00', '0:07', '12:05', '1:02:03']);
  assert.deepEqual([counted(1, 'candidate'), counted(0, 'candidate')], ['1 candidate', '0 candidates']);
  assert.deepEqual([listed([]), listed(['a']), listed(['a', 'b']), listed(['a', 'b', 'c'])], ['', 'a', 'a and b', 'a, b and c']);
});

test('route is relayed if either end is a relay', () => {
  assert.equal(route(sample(report())), 'relayed');
  assert.equal(route(sample(report({ local: { candidateType: 'host' } }))), 'direct');
  assert.equal(route(sample(report({ local: { candidateType: 'host' }, remote: { candidateType: 'relay' } }))), 'relayed');
  assert.equal(route(sample(new Map())), 'none');
});

test('judge and qualityWords grade a connection by delay and loss', () => {
  const between = (received, lost, roundTrip, fraction = 0) => {
    const before = { ...sample(report()), packetsReceived: 0, packetsLost: 0 };
    const now = { ...sample(report()), packetsReceived: received, packetsLost: lost, roundTrip, lossSent: fraction };
    return judge(before, now, true);
  };
  for (const [stats, quality, words] of [
    [between(1000, 0, 0.02), 'good', 'Good connection'],
    [between(1000, 0, 0.3), 'fair', 'Fair connection: delayed'],
    [between(950, 50, 0.02), 'fair', 'Fair connection: packets are lost'],
    [between(1000, 0, 0.02, 0.05), 'fair', 'Fair connection: packets are lost'],
    [between(800, 200, 0.6), 'poor', 'Poor connection: delayed, and packets are lost'],
    [between(0, 0, null), 'good', 'Good connection'],
    [judge(null, { ...sample(new Map()) }, true), 'unknown', ''],
    [judge(null, sample(report()), false), 'unknown', ''],
  ]) assert.deepEqual([stats.quality, qualityWords(stats)], [quality, words]);
});
