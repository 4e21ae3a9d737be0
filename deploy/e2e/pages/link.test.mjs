/** Calls with a link: creating and joining them, their parties, chat, devices, and the example page. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { assertQuiet, eventually, launch, open } from './lib/browser.mjs';
import { create, notice, reach, say, signIn, watch } from './lib/callpage.mjs';
import { Daemon } from './lib/daemon.mjs';

let daemon;
let browser;
let pages = [];

before(async () => {
  daemon = await Daemon.start({ signal: { calls: { parties: 3 } } });
  browser = await launch({ flags: [
    '--use-fake-device-for-media-stream=device-count=4,fps=10', '--use-fake-ui-for-media-stream', '--auto-select-desktop-capture-source=Entire screen',
  ] });
});

after(async () => {
  await browser?.close();
  await daemon?.stop();
});

afterEach(async () => {
  const all = pages;
  pages = [];
  for (const page of all) await page.context().close();
  assertQuiet(...all);
});

async function visit(address, options) {
  const page = await open(browser, address, options);
  pages.push(page);
  return page;
}

/** Opens a page that creates a call. Returns the page and the call's link. */
async function host(name) {
  const page = await visit(daemon.url);
  await signIn(page, name);
  return { page, link: await create(page) };
}

/** Opens a link and joins its call. */
async function guest(link, name) {
  const page = await visit(link);
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Join the call' }).click();
  return page;
}

const heard = (page, words) => page.locator('#chat-lines').getByText(words).waitFor();

test('three people join by a link, see each other and chat', async () => {
  const { page: alice, link } = await host('alice1');
  assert.match(link, new RegExp(`^${daemon.url}#call=[a-z2-9]{16}$`));
  const bob = await guest(link, 'bob1');
  const carol = await guest(link, '');
  for (const page of [alice, bob, carol]) {
    await reach(page, 'in-call');
    await eventually(() => page.locator('#tiles video').evaluateAll((all) => all.length === 2 && all.every((video) => video.videoWidth > 0)), 'two pictures');
  }
  await carol.getByText('Signed in as a guest').waitFor();
  assert.match(await alice.locator('#call-state').innerText(), /^In call with bob1 and a guest$/);
  await say(alice, 'hello to both');
  for (const page of [bob, carol]) {
    await page.getByRole('button', { name: 'Chat (1 new)' }).click();
    await heard(page, 'hello to both');
  }
  await say(carol, '<b>from a guest</b>');
  for (const page of [alice, bob]) await heard(page, '<b>from a guest</b>');

  const dora = await guest(link, 'dora1');
  assert.match(await notice(dora), /^This call is full/);
  await bob.getByRole('button', { name: 'Leave' }).click();
  assert.equal(await notice(alice), 'bob1 left the call.');
  await reach(bob, 'idle');
  await watch(alice, 5);
  await dora.getByRole('button', { name: 'Join the call' }).click();
  await reach(dora, 'in-call');
});

test('a call that is over can’t be joined, and the page can be used for another call', async () => {
  const page = await guest(`${daemon.url}#call=abcdefghijkmnpqr`, 'erin');
  assert.match(await notice(page), /^This call has ended, or the link is incomplete\./);
  await page.getByRole('button', { name: 'Not now' }).click();
  assert.equal(new URL(page.url()).hash, '');
  await create(page);
});

test('another camera, no camera, and the screen, without a new call', async () => {
  const { page: alice, link } = await host('alice2');
  const bob = await guest(link, 'bob2');
  await reach(alice, 'in-call');
  const sent = () => alice.locator('#local-video').evaluate((video) => video.srcObject.getVideoTracks().map((track) => track.label).join());
  await alice.getByText('Camera and microphone', { exact: true }).click();
  const first = await sent();
  const camera = alice.getByLabel('Camera', { exact: true });
  const other = (await camera.locator('option').allInnerTexts()).at(-1); // the second and third fake cameras have unusual pixel formats
  assert.notEqual(other, first);
  await camera.selectOption({ label: other });
  await eventually(async () => (await sent()) === other, 'the other camera');
  await watch(bob, 10);

  await alice.getByRole('button', { name: 'Camera off' }).click();
  await bob.locator('.tile video').waitFor({ state: 'hidden' });
  await alice.getByRole('button', { name: 'Mute' }).click();
  await bob.locator('.tile-muted').waitFor();

  await alice.getByRole('button', { name: 'Share screen' }).click();
  await bob.locator('.tile[data-sharing="true"] video').waitFor();
  assert.match(await bob.locator('.tile video').getAttribute('aria-label'), /^The screen of alice2$/);
  await watch(bob, 2);
  await alice.getByRole('button', { name: 'Share screen' }).click();
  await bob.locator('.tile video').waitFor({ state: 'hidden' });
  await alice.getByRole('button', { name: 'Camera off' }).click();
  await bob.locator('.tile video').waitFor();
  await watch(bob, 10);
});

test('the example page: a call, and chat', async () => {
  const alice = await visit(`${daemon.url}examples/`);
  await alice.getByRole('button', { name: 'Start' }).click();
  await alice.locator('#link').waitFor();
  const bob = await visit(await alice.locator('#link').getAttribute('href'));
  await bob.getByRole('button', { name: 'Start' }).click();
  for (const page of [alice, bob]) await page.getByText('connected over websocket (direct, good)').waitFor();
  await bob.getByRole('textbox', { name: 'Message' }).fill('hi');
  await bob.getByRole('button', { name: 'Send' }).click();
  await alice.getByText('They: hi').waitFor();
  await bob.getByRole('button', { name: 'Leave' }).click();
  await bob.getByText('The call is over: left.').waitFor();
  await alice.getByText('waiting over websocket').waitFor();
});
