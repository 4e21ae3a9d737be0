import assert from 'node:assert/strict';
import { test } from 'node:test';

import { errorWords, mostInformative } from '../static/assets/trickle/errors.js';
import { candidateRow } from '../static/assets/trickle/gather.js';
import { join, merge, replace, split } from '../static/assets/trickle/servers.js';
import { parseUri, sameUri, serverProblem, transportOf } from '../static/assets/trickle/uri.js';
import { findings, summary } from '../static/assets/trickle/verdict.js';

test('parseUri fills in the defaults', () => {
  assert.deepEqual(parseUri('turn:Example.org'), { scheme: 'turn', host: 'example.org', port: 3478, transport: 'udp' });
  assert.deepEqual(parseUri(' TURNS:[2001:DB8::1]:443 '), { scheme: 'turns', host: '[2001:db8::1]', port: 443, transport: 'tcp' });
  assert.deepEqual(parseUri('stun:h:19302'), { scheme: 'stun', host: 'h', port: 19302, transport: 'udp' });
});

test('sameUri ignores differences in spelling', () => {
  assert.ok(sameUri('turn:H', 'turn:h:3478?transport=udp'));
  assert.ok(sameUri('turns:h', 'turns:h:5349?transport=tcp'));
  assert.ok(!sameUri('turn:h', 'turn:h?transport=tcp'));
  assert.ok(!sameUri('turn:h', 'stun:h'));
  assert.ok(!sameUri('', 'turn:h'));
});

test('transportOf names the transport', () => {
  for (const [uri, want] of [['turn:h', 'UDP'], ['turn:h?transport=tcp', 'TCP'], ['turns:h', 'TLS'], ['turns:h?transport=udp', 'DTLS'], ['x', '']]) {
    assert.equal(transportOf(uri), want);
  }
});

test('serverProblem finds the wrong field and explains it', () => {
  for (const [uri, words] of [
    ['', /Enter a URI/], ['http://h', /begins with stun:/], ['h:3478', /begins with/], ['turn://h', /No slashes/],
    ['stun:h?transport=udp', /nothing after the port/], ['turn:h?transport=tls', /transport=udp or transport=tcp/],
    ['turn:h?x=1', /transport=udp or transport=tcp/], ['turn:2001:db8::1:3478', /brackets/], ['turn:h:70000', /not a valid URI/],
    ['turn:h h', /not a valid URI/], ['turn:user@h', /not a valid URI/], ['turn:h:0', /not a valid URI/],
  ]) {
    const problem = serverProblem({ uri, username: 'u', credential: 'p' });
    assert.equal(problem?.field, 'uri', uri);
    assert.match(problem.words, words, uri);
  }
  assert.equal(serverProblem({ uri: 'turn:h', username: '', credential: 'p' }).field, 'username');
  assert.equal(serverProblem({ uri: 'turns:h', username: 'u', credential: '' }).field, 'credential');
  assert.equal(serverProblem({ uri: 'stun:h', username: '', credential: '' }), null);
  assert.equal(serverProblem({ uri: 'turn:[2001:db8::1]:3478?transport=tcp', username: 'u', credential: 'p' }), null);
});

test('servers are split, joined, merged and replaced', () => {
  const own = split([{ urls: 'stun:h' }, { urls: ['turn:h', 'turn:h?transport=tcp'], username: 'u', credential: 'p' }]);
  assert.deepEqual(own.map(({ uri, username }) => `${uri} ${username}`), ['stun:h ', 'turn:h u', 'turn:h?transport=tcp u']);
  assert.deepEqual(join(own.slice(0, 2)), [{ urls: ['stun:h'] }, { urls: ['turn:h'], username: 'u', credential: 'p' }]);
  const merged = merge(own, [{ uri: 'turn:H:3478', username: 'new', credential: 'p' }, { uri: 'turn:x', username: 'u', credential: 'p' }]);
  assert.deepEqual(merged.map(({ username }) => username), ['', 'new', 'u', 'u']);
  const server = { uri: 'stun:h:3478', username: '', credential: '' };
  assert.deepEqual(replace(own, 1, server).map(({ uri }) => uri), ['stun:h:3478', 'turn:h?transport=tcp']);
});

test('errorWords explains each code', () => {
  assert.match(errorWords(401, 'Unauthorized.', ''), /^Wrong username or password \(401\)/);
  for (const code of [300, 400, 403, 420, 437, 438, 440, 441, 442, 443, 446, 447, 486, 500, 508]) {
    assert.match(errorWords(code, 'x', ''), new RegExp(`\\(${code}\\)`));
  }
  assert.match(errorWords(701, 'Failed to establish connection', 'turn:h'), /can’t be reached \(701\).*firewall/);
  assert.match(errorWords(701, 'Failed to establish connection', 'turns:h'), /certificate/);
  assert.match(errorWords(701, 'TURN host lookup received error.', 'turn:h'), /name was not found/);
  assert.equal(errorWords(699, 'Odd', ''), 'The server refused with error 699 (Odd).');
});

test('an error from the server is more informative than a timeout', () => {
  assert.equal(mostInformative([{ code: 701 }, { code: 401 }]).code, 401);
  assert.equal(mostInformative([{ code: 701 }]).code, 701);
  assert.equal(mostInformative([]), undefined);
});

test('candidateRow reads a candidate as browsers give it', () => {
  const relay = candidateRow({ type: 'relay', protocol: 'udp', relayProtocol: null, url: 'turn:h:3478?transport=udp', address: '[fd00::2]', port: 7, priority: 9, foundation: 'f' }, 41.4);
  assert.deepEqual(relay, { time: 41.4, type: 'relay', protocol: 'udp', relayProtocol: 'UDP', url: 'turn:h:3478?transport=udp', address: 'fd00::2', port: 7, priority: 9, foundation: 'f' });
  assert.equal(candidateRow({ type: 'relay', relayProtocol: 'tls' }, 0).relayProtocol, 'TLS');
  assert.equal(candidateRow({ type: 'host', relayProtocol: 'udp' }, 0).relayProtocol, '');
});

/** An outcome with a candidate for each "type url" in found, and an error for each "code url" in failed. */
function outcome({ uris = [], found = [], failed = [], ...rest }) {
  const candidates = found.map((text) => {
    const [type, url = ''] = text.split(' ');
    return { time: 41, type, url, relayProtocol: type === 'relay' ? transportOf(url) : '', address: '203.0.113.7' };
  });
  const errors = failed.map((text) => ({ code: Number(text.split(' ')[0]), text: '', url: text.split(' ')[1] }));
  return { uris, candidates, errors, time: 412, complete: true, relayOnly: false, ...rest };
}

test('summary is one line', () => {
  for (const [parts, want] of [
    [{}, '0 candidates in 0.4 s.'],
    [{ found: ['host'] }, '1 candidate in 0.4 s.'],
    [{ found: ['host', 'srflx'] }, '2 candidates in 0.4 s; STUN works.'],
    [{ uris: ['turn:h'], found: ['host'] }, '1 candidate in 0.4 s; no relay works.'],
    [{ found: ['relay turns:h', 'relay turn:h', 'relay turn:h'] }, '3 candidates in 0.4 s; a relay over UDP and TLS works.'],
    [{ found: ['relay'] }, '1 candidate in 0.4 s; a relay works.'],
  ]) assert.equal(summary(outcome(parts)), want);
});

test('findings explains the result of each server', () => {
  const of = (parts) => findings(outcome(parts)).map(({ kind, words }) => `${kind}: ${words}`);
  const [udp, tcp] = of({ uris: ['turn:h', 'turn:h?transport=tcp'], found: ['relay turn:h:3478?transport=udp'], failed: ['701 turn:h:3478?transport=tcp'] });
  assert.equal(udp, 'good: Relay over UDP works, after 41 ms.');
  assert.match(tcp, /^bad: The server can’t be reached/);
  assert.match(of({ uris: ['turn:h'], failed: ['701 turn:h', '401 turn:h'] })[0], /^bad: Wrong username or password/);
  assert.match(of({ uris: ['turn:h?transport=udp'], failed: ['701 stun:h:3478'] })[0], /^bad: The server can’t be reached/);
  assert.match(of({ uris: ['turn:h?transport=tcp'], failed: ['701 stun:h:3478'] })[0], /^unsure/);
  assert.match(of({ uris: ['turn:h'], complete: false })[0], /^bad: This server has not responded/);
  assert.match(of({ uris: ['turn:h'] })[0], /^unsure: No candidate came from this server/);
  assert.match(of({ uris: ['turn:h'], found: ['relay'] })[0], /^unsure: This browser does not show/);
  assert.match(of({ uris: ['stun:h'], found: ['srflx stun:h:3478'] })[0], /^good: STUN works: your public address is 203/);
  assert.match(of({ uris: ['stun:h'], found: ['srflx stun:other'] })[0], /same public address/);
  assert.match(of({ uris: ['stun:h'] })[0], /no address translation/);
  assert.match(of({ uris: ['stun:h'], complete: false })[0], /^unsure: This server had not responded/);
  assert.match(of({ uris: ['stun:h'], failed: ['701 stun:h'] })[0], /^bad: The server can’t be reached/);
  assert.match(of({ uris: ['stun:h'], relayOnly: true })[0], /Not tested/);
});

test('the last finding is about calls', () => {
  const last = (parts) => findings(outcome(parts)).at(-1);
  assert.equal(last({ uris: ['turn:h'], found: ['relay turn:h'] }).kind, 'good');
  assert.equal(last({ uris: ['turn:h'], found: ['host'] }).kind, 'bad');
  assert.equal(last({ found: ['host'] }).kind, 'unsure');
  assert.match(last({}).words, /found no address at all/);
});
