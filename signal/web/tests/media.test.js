import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FakeDevices, FakeStream } from './fakes.js';

globalThis.MediaStream = FakeStream;
const { listDevices, openMedia } = await import('../static/sdk/media.js');

test('opens the microphone and the camera, or the one that the machine has', async () => {
  for (const [failures, wish, kinds] of [
    [{}, {}, ['audio', 'video']],
    [{ video: 'NotFoundError' }, {}, ['audio']],
    [{ audio: 'NotFoundError' }, {}, ['video']],
    [{ audio: 'NotFoundError', video: 'OverconstrainedError' }, {}, []],
    [{}, { video: false }, ['audio']],
    [{}, { audio: false, video: false }, []],
  ]) {
    const devices = Object.assign(new FakeDevices(), { failures });
    const media = await openMedia(wish, devices);
    assert.deepEqual(media.stream.getTracks().map(({ kind }) => kind), kinds);
    media.close();
    assert.ok(devices.opened.every(({ readyState }) => readyState === 'ended'));
  }
});

test('an error says why a device can’t be opened, and what to do', async () => {
  for (const [name, wish, words] of [
    ['NotAllowedError', {}, /^This page may not use the camera and the microphone\. Allow it/],
    ['NotReadableError', { audio: false }, /^Another program seems to be using the camera\. Close that program/],
    ['WhateverError', { video: false }, /^The browser could not open the microphone\./],
  ]) {
    const devices = Object.assign(new FakeDevices(), { failures: { audio: name, video: name } });
    await assert.rejects(openMedia(wish, devices), { code: `media-${name}`, message: words });
  }
  await assert.rejects(openMedia({}, undefined), { code: 'media-insecure', message: /Open this page over https\.$/ });
});

test('switching cameras closes the old one before it opens the new one', async () => {
  const devices = new FakeDevices();
  const media = await openMedia({}, devices);
  const changed = [];
  media.on('track', (kind) => changed.push([kind, media.track(kind)?.deviceId ?? null]));
  await media.setCamera('video-2');
  assert.deepEqual(changed, [['video', null], ['video', 'video-2']]);
  assert.deepEqual(devices.opened.map(({ readyState }) => readyState), ['live', 'ended', 'live']);
  assert.deepEqual([media.device('video'), media.device('audio')], ['video-2', 'audio-1']);
  await media.setMicrophone(null);
  assert.equal(media.device('audio'), '');
});

test('if the new camera can’t be opened, the old one is used again', async () => {
  const devices = Object.assign(new FakeDevices(), { failures: { 'video-2': 'NotReadableError' } });
  const media = await openMedia({}, devices);
  await assert.rejects(media.setCamera('video-2'), { code: 'media-NotReadableError' });
  assert.equal(media.device('video'), 'video-1');
  assert.equal(media.track('video').readyState, 'live');
});

test('a muted microphone stays muted on another device', async () => {
  const media = await openMedia({}, new FakeDevices());
  media.muted = true;
  await media.setMicrophone('audio-2');
  assert.equal(media.track('audio').enabled, false);
  media.muted = false;
  assert.equal(media.track('audio').enabled, true);
});

test('the screen is sent instead of the camera until the page or the browser stops it', async () => {
  const media = await openMedia({}, new FakeDevices());
  await media.shareScreen();
  assert.deepEqual([media.sharing, media.track('video').deviceId, media.device('video')], [true, 'screen', 'video-1']);
  assert.equal(media.stream.getVideoTracks().length, 1);
  media.track('video').onended(); // the user stops sharing in the browser
  assert.deepEqual([media.sharing, media.track('video').deviceId], [false, 'video-1']);
});

test('an unplugged device is replaced by another one', async () => {
  const devices = new FakeDevices();
  const media = await openMedia({}, devices);
  const before = media.track('video');
  before.onended();
  await new Promise((resolve) => setImmediate(resolve));
  assert.notEqual(media.track('video'), before);
  assert.equal(media.track('video').readyState, 'live');
  const problems = [];
  media.on('problem', ({ code }) => problems.push(code));
  devices.failures.video = 'NotFoundError';
  media.track('video').onended();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([media.track('video'), problems], [null, ['media-NotFoundError']]);
});

test('lists the devices, and emits an event when they change', async () => {
  const devices = new FakeDevices();
  assert.deepEqual(await listDevices(devices), { cameras: [{ id: 'video-1', label: 'Cam' }], microphones: [{ id: 'audio-1', label: '' }] });
  assert.deepEqual(await listDevices(undefined), { cameras: [], microphones: [] });
  const media = await openMedia({}, devices);
  let events = 0;
  media.on('devices', () => (events += 1));
  devices.listeners.get('devicechange')();
  assert.equal(events, 1);
  media.close();
  assert.equal(devices.listeners.size, 0);
});
