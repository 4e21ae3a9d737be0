/** What keeps one from a call: a key, devices, an insecure page. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { launch, open } from './lib/browser.mjs';
import { accept, call, connect, create, notice, reach, signIn, watch } from './lib/callpage.mjs';
import { Daemon } from './lib/daemon.mjs';

const KEY = 'a key & more, 20 bytes';
let daemon;
let browser;

before(async () => {
  daemon = await Daemon.start({ signal: { access: 'key', keys: [{ name: 'web', key: KEY }] } });
  // Any name but localhost is an insecure page over http.
  browser = await launch({
    asks: true, flags: ['--use-fake-device-for-media-stream=fps=10', '--host-resolver-rules=MAP insecure.test 127.0.0.1'],
  });
});

after(async () => {
  await browser?.close();
  await daemon?.stop();
});

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});

const withKey = (url) => `${url}?key=${encodeURIComponent(KEY)}`;
const camera = { permissions: ['camera', 'microphone'] };

test('without a key the page says that one is wanted, with a wrong one that it is not known', async () => {
  const page = await open(browser, daemon.url);
  await page.getByLabel('Your name').fill('alice');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('This server wants a key.').waitFor();
  await page.goto(`${daemon.url}?key=wrong`);
  await page.getByLabel('Your name').fill('alice');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The server does not know the key').waitFor();
  await page.goto(`${daemon.url}trickle-ice/`);
  await page.getByRole('button', { name: 'Use this server’s own' }).click();
  await page.getByText('This server wants a key.').waitFor();
});

test('the key in the page’s address opens the hub, the servers, and the other page', async () => {
  const alice = await open(browser, withKey(daemon.url), camera);
  const bob = await open(browser, withKey(daemon.url), camera);
  await signIn(alice, 'alice');
  await signIn(bob, 'bob');
  await connect(alice, bob, 'alice', 'bob');
  await watch(alice, 10);
  await bob.getByRole('button', { name: 'Hang up' }).click();
  const carol = await open(browser, await create(bob), camera);
  await carol.getByRole('button', { name: 'Join the call' }).click();
  await reach(carol, 'in-call');
  await bob.getByRole('link', { name: 'Trickle ICE' }).click();
  assert.equal(new URL(bob.url()).searchParams.get('key'), KEY);
  await bob.getByRole('button', { name: 'Use this server’s own' }).click();
  await bob.locator('#servers li').first().waitFor();
});

test('a camera that is refused is told in words, and the call can be had without', async () => {
  const alice = await open(browser, withKey(daemon.url), { permissions: [] });
  const bob = await open(browser, withKey(daemon.url), camera);
  await signIn(alice, 'alice');
  await signIn(bob, 'bob');
  await call(alice, 'bob');
  assert.match(await notice(alice), /^This page may not use the camera and the microphone\. Allow it/);
  await alice.getByText('Options', { exact: true }).click();
  await alice.getByLabel('Use my camera').uncheck();
  await alice.getByLabel('Use my microphone').uncheck();
  await connect(alice, bob, 'alice', 'bob');
  await watch(alice, 10);
  assert.ok(await alice.getByRole('button', { name: 'Mute' }).isHidden());
});

test('an insecure page says that it gets no camera, and can watch', async () => {
  const insecure = withKey(daemon.url.replace('127.0.0.1', 'insecure.test'));
  const alice = await open(browser, insecure, camera);
  const bob = await open(browser, withKey(daemon.url), camera);
  await signIn(alice, 'alice');
  await signIn(bob, 'bob');
  await call(bob, 'alice');
  await accept(alice, 'bob');
  assert.match(await notice(alice), /secure pages only\. Open this page by https\./);
  await reach(bob, 'idle');
  await alice.getByText('Options', { exact: true }).click();
  await alice.getByLabel('Use my camera').uncheck();
  await alice.getByLabel('Use my microphone').uncheck();
  await connect(bob, alice, 'bob', 'alice');
  await watch(alice, 10);
});
