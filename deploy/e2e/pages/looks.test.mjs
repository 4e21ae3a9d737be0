/**
 * Shows the pages in each of their states. No state may violate a rule of axe-core or be wider than
 * the window. If PAGES_SHOTS names a directory, the tests write a screenshot of each state there, in
 * each size and colour scheme.
 */

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';

import { assertAccessible, assertQuiet, launch, open } from './lib/browser.mjs';
import { accept, call, create, reach, say, signIn, watch } from './lib/callpage.mjs';
import { Daemon, freePort } from './lib/daemon.mjs';

const SIZES = { narrow: { width: 390, height: 844 }, wide: { width: 1280, height: 800 } };

let daemon;
let browser;
const shots = process.env.PAGES_SHOTS;

before(async () => {
  daemon = await Daemon.start({ signal: { calls: { parties: 8 } } });
  browser = await launch();
  if (shots) await mkdir(shots, { recursive: true });
});

after(async () => {
  await browser?.close();
  await daemon?.stop();
});

afterEach(async () => {
  for (const context of browser.contexts()) await context.close(); // a call that continues takes CPU time
});

/** Checks a page in both sizes, each in one colour scheme or, with screenshots, in both. */
async function look(page, state) {
  for (const [size, scheme] of [['narrow', 'dark'], ['wide', 'light'], ['narrow', 'light'], ['wide', 'dark']].slice(0, shots ? 4 : 2)) {
    await page.setViewportSize(SIZES[size]);
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    const seen = `${state}-${size}-${scheme}`;
    await assertAccessible(page, seen);
    if (shots) await page.screenshot({ path: join(shots, `${seen}.png`), fullPage: true });
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= SIZES[size].width, `${seen} is ${width} pixels wide in a window of ${SIZES[size].width}`);
  }
}

test('the call page', async () => {
  const alice = await open(browser, daemon.url);
  const bob = await open(browser, daemon.url);
  await look(alice, 'call-1-signed-out');
  await alice.getByRole('button', { name: 'Sign in' }).click();
  await look(alice, 'call-2-no-name');
  await signIn(alice, 'alice');
  await signIn(bob, 'bob with a name that is long enough to need two lines');
  await alice.getByText('Options', { exact: true }).click();
  await look(alice, 'call-3-signed-in');
  await call(alice, 'bob with a name that is long enough to need two lines');
  await reach(bob, 'incoming');
  await look(alice, 'call-4-ringing');
  await alice.getByRole('button', { name: 'Cancel' }).click();
  await reach(bob, 'idle');
  await call(alice, 'bob with a name that is long enough to need two lines'); // called again, because a call does not ring for ever
  await reach(bob, 'incoming');
  await look(bob, 'call-5-incoming');
  await accept(bob, 'alice');
  await reach(alice, 'in-call');
  await watch(alice, 20);
  await look(alice, 'call-6-in-call');
  await bob.getByRole('button', { name: 'Hang up' }).click();
  await reach(alice, 'idle');
  await look(alice, 'call-7-after');
  await daemon.kill();
  await alice.getByRole('button', { name: 'Reconnect now' }).waitFor();
  await look(alice, 'call-8-lost');
  await daemon.run();
  assertQuiet(alice, bob);
});

test('a call with a link', async () => {
  const alice = await open(browser, daemon.url);
  await signIn(alice, 'alice1');
  const link = await create(alice);
  await look(alice, 'link-1-waiting');
  const guests = [];
  for (const name of ['bob1', '']) {
    const page = await open(browser, link);
    guests.push(page);
    if (name === 'bob1') await look(page, 'link-2-invited');
    await page.getByLabel('Your name').fill(name);
    await page.getByRole('button', { name: 'Join the call' }).click();
    await reach(page, 'in-call');
  }
  await say(guests[0], 'Can you hear me? There is an echo on this line, it seems.');
  await say(alice, 'Yes, loud and clear.');
  await guests[0].getByRole('button', { name: 'Mute' }).click();
  await guests[1].getByRole('button', { name: 'Camera off' }).click();
  await alice.getByText('Camera and microphone', { exact: true }).click();
  await watch(alice, 20);
  await look(alice, 'link-3-three-and-chat');
  assertQuiet(alice, ...guests);
});

test('the example page', async () => {
  const page = await open(browser, `${daemon.url}examples/`);
  await page.getByRole('button', { name: 'Start' }).click();
  await page.locator('#link').waitFor();
  await look(page, 'example');
});

test('the trickle-ICE page', async () => {
  const page = await open(browser, `${daemon.url}trickle-ice/`);
  await look(page, 'trickle-1-empty');
  await page.getByRole('button', { name: 'Use this server' }).click();
  await page.locator('#servers li').first().waitFor();
  for (const [uri, username, credential] of [
    [`turn:${daemon.turn}?transport=tcp`, 'alice', 'wrong'], [`turn:127.0.0.1:${await freePort()}?transport=tcp`, 'alice', 'secret'], ['turn://x', '', ''],
  ]) {
    await page.getByLabel('STUN or TURN URI').fill(uri);
    await page.getByLabel('TURN username').fill(username);
    await page.getByLabel('TURN password').fill(credential);
    await page.getByRole('button', { name: 'Add server' }).click();
  }
  await page.getByRole('button', { name: 'Gather candidates' }).click();
  await page.locator('main[data-gathering="done"]').waitFor();
  await look(page, 'trickle-2-gathered');
  assertQuiet(page);
});

test('a page that does not exist', async () => {
  const page = await open(browser, `${daemon.url}no/such/page`);
  await look(page, 'missing');
});
