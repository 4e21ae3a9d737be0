import assert from 'node:assert/strict';
import { test } from 'node:test';

import { callWords, endWords, signInWords } from '../static/assets/call/words.js';

test('signInWords explains why the user can’t sign in, and what to do', () => {
  for (const [code, hasKey, words] of [
    ['name-taken', false, /Choose another name, or close the other window/], ['bad-name', false, /Choose a shorter one/],
    ['token-missing', false, /Open the page with the link you were given/], ['token-invalid', true, /Ask the owner of this server for a new link/],
    ['token-invalid', false, /Open the page with the link you were given/], ['too-many', false, /wait a minute/],
    ['unavailable', false, /Try again in a moment/], ['unreachable', false, /Check your connection/], ['not-allowed', false, /origin/],
  ]) assert.match(signInWords({ code, message: 'x' }, hasKey), words, code);
  assert.equal(signInWords({ code: 'new-code', message: 'What the server says.' }, false), 'What the server says.');
});

test('callWords explains why a call can’t start, and what to do', () => {
  const failure = (code, message = 'What it says.') => Object.assign(new Error(message), { code });
  for (const [code, words] of [
    ['peer-offline', /^bob is not signed in\. Check the name/], ['peer-unsupported', /Sign out, then sign in with a name/], ['no-such-call', /Ask for a new link/],
    ['call-full', /more people/], ['call-not-allowed', /let you in/], ['in-call', /Close it there first/], ['call-limit', /Try again in a moment/],
    ['ended', /ended before/], ['lost', /Try again/], ['media-NotAllowedError', /^What it says\. Or open “Options”/], ['new-code', /^What it says\.$/],
  ]) assert.match(callWords(failure(code), 'bob'), words, code);
  assert.equal(callWords('thrown', ''), 'thrown');
});

test('endWords explains how a call ended', () => {
  const words = (reason, by = 'bob', ringing = false) => endWords({ reason, by }, { self: 'alice', name: 'bob', ringing });
  assert.deepEqual(['hangup', 'left', 'declined', 'busy', 'no-answer', 'unjoined', 'closed'].map((reason) => words(reason)), [
    'bob hung up.', 'bob hung up.', 'bob declined.', 'bob is in another call.', 'bob did not answer.', 'Nobody joined the call in time, so it ended.', '',
  ]);
  assert.deepEqual([words('hangup', 'alice'), words('left', '')], ['', '']);
  assert.deepEqual([words('gone'), words('gone', 'bob', true)], ['The connection to bob was lost.', 'bob went offline.']);
  assert.match(words('no-route'), /^You and bob could not be connected\. Open the “Trickle ICE” page/);
  assert.match(words('lost'), /Call again\.$/);
});
