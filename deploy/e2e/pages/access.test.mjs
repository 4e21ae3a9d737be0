/** What can prevent a call: a missing key, refused devices, an insecure page. */

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
  // Over http, only pages on localhost are secure contexts.
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

test('without a key the page asks for one; a wrong key is refused', async () => {
  const page = await open(browser, daemon.url);
  await page.getByLabel('Your name').fill('alice');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('This server requires a key.').waitFor();
  await page.goto(`${daemon.url}?key=wrong`);
  await page.getByLabel('Your name').fill('alice');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The key in this page’s address is not valid.').waitFor();
  await page.goto(`${daemon.url}trickle-ice/`);
  await page.getByRole('button', { name: 'Use this server' }).click();
  await page.getByText('This server requires a key.').waitFor();
});

test('the key in the page’s address gives access to the hub, the ICE servers, and the other page', async () => {
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
  await bob.getByRole('button', { name: 'Use this server' }).click();
  await bob.locator('#servers li').first().waitFor();
});

test('the page explains in words that the camera was refused, and a call without it works', async () => {
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

test('an insecure page explains that it can’t use the camera, and can receive video', async () => {
  const insecure = withKey(daemon.url.replace('127.0.0.1', 'insecure.test'));
  const alice = await open(browser, insecure, camera);
  const bob = await open(browser, withKey(daemon.url), camera);
  await signIn(alice, 'alice');
  await signIn(bob, 'bob');
  await call(bob, 'alice');
  await accept(alice, 'bob');
  assert.match(await notice(alice), /secure pages only\. Open this page over https\./);
  await reach(bob, 'idle');
  await alice.getByText('Options', { exact: true }).click();
  await alice.getByLabel('Use my camera').uncheck();
  await alice.getByLabel('Use my microphone').uncheck();
  await connect(bob, alice, 'bob', 'alice');
  await watch(alice, 10);
});
