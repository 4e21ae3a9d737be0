/** Calls recover without a click when the daemon is restarted, a page is reloaded, or WebSockets do not work. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { assertQuiet, eventually, launch, open } from '../lib/browser.mjs';
import { connect, create, figure, reach, say, signIn, watch } from '../lib/callpage.mjs';
import { Daemon } from '../lib/daemon.mjs';

let daemon;
let browser;
let pages = [];

before(async () => {
  daemon = await Daemon.start({ signal: { limits: { resume: '2m' } } });
  browser = await launch();
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

async function person(name, query = '', prepare = () => {}) {
  const page = await open(browser, 'about:blank');
  pages.push(page);
  await prepare(page);
  await page.goto(daemon.url + query);
  await signIn(page, name);
  return page;
}

/** Waits until a page has decoded that many more frames. Returns the milliseconds since the given time. */
async function untilMedia(page, since, frames = 5) {
  const before = await figure(page, 'stat-frames-decoded');
  await eventually(async () => (await figure(page, 'stat-frames-decoded')) >= before + frames, 'media again');
  return Date.now() - since;
}

/** icebox promises 10 s, which E2E_STRICT enforces. Otherwise the limit is 30 s, because the browsers share slow processors with other tests. */
const BACK_MS = process.env.E2E_STRICT ? 10_000 : 30_000;

for (const [name, signal, away] of [['killed', 'SIGKILL', 6_000], ['stopped', 'SIGTERM', 0]]) {
  test(`a relayed call has media again soon after the daemon was ${name}, without a click`, async (t) => {
    const alice = await person(`alice-${name}`, '?policy=relay');
    const bob = await person(`bob-${name}`, '?policy=relay');
    await connect(alice, bob);
    await Promise.all([watch(alice, 10), watch(bob, 10)]);
    await daemon.kill(signal);
    const back = Date.now() + away;
    await eventually(() => Date.now() >= back, 'the end of the outage', away + 1_000);
    await daemon.run();
    const ready = Date.now();
    const took = await Promise.all([untilMedia(alice, ready), untilMedia(bob, ready)]);
    t.diagnostic(`media again after ${took.join(' and ')} ms`);
    assert.ok(Math.max(...took) < BACK_MS, `media again after ${took.join(' and ')} ms`);
    for (const page of [alice, bob]) {
      assert.equal(await page.locator('main').getAttribute('data-call'), 'in-call');
      assert.equal(await page.locator('#stat-local').getAttribute('data-type'), 'relay');
      assert.ok(await page.locator('#notice').isHidden());
    }
    await say(alice, 'still here');
    await bob.getByRole('button', { name: 'Chat (1 new)' }).waitFor();
    await bob.getByRole('button', { name: 'Hang up' }).click();
    await reach(alice, 'idle');
  });
}

test('a direct call never stops while the daemon is away', async () => {
  const alice = await person('alice-direct');
  const bob = await person('bob-direct');
  await connect(alice, bob);
  await watch(alice, 5);
  await daemon.kill();
  await Promise.all([watch(alice, 60), watch(bob, 60)]);
  await daemon.run();
  for (const page of [alice, bob]) await page.locator('main[data-presence="in"]').waitFor();
  await Promise.all([watch(alice, 10), watch(bob, 10)]);
  await alice.getByRole('button', { name: 'Hang up' }).click();
  await reach(bob, 'idle');
});

test('a reloaded page has its name again at once, and is invited back into its call', async () => {
  // The old document's leave message gets lost, so the server believes that its session is still alive.
  let dropMessages = false;
  const alice = await person('alice-reload', '', async (page) => {
    await page.routeWebSocket(/\/ws$/, (route) => {
      const server = route.connectToServer();
      route.onMessage((message) => dropMessages || server.send(message));
      route.onClose(() => {}); // the server does not learn of the close
    });
    await page.route('**/v1/send', (route) => route.abort());
  });
  const link = await create(alice);
  const bob = await open(browser, link);
  pages.push(bob);
  await bob.getByLabel('Your name').fill('bob-reload');
  await bob.getByRole('button', { name: 'Join the call' }).click();
  await reach(alice, 'in-call');

  dropMessages = true;
  const stranger = await open(browser, daemon.url);
  pages.push(stranger);
  const reloaded = alice.reload();
  dropMessages = false;
  await reloaded;
  await alice.getByText('Signed in as alice-reload').waitFor();
  await stranger.getByLabel('Your name').fill('alice-reload');
  await stranger.getByRole('button', { name: 'Sign in' }).click();
  await stranger.getByText('Someone is already signed in with this name.').waitFor();

  await alice.getByRole('button', { name: 'Join the call' }).click();
  await reach(alice, 'in-call');
  await Promise.all([watch(alice, 10), watch(bob, 10)]);
  assert.equal(await bob.locator('.tile').count(), 1);
  alice.complaints = alice.complaints.filter((text) => !/ERR_FAILED/.test(text)); // requests that the test aborted
});

test('without WebSockets a call is made over events, and survives a restart of the daemon', async () => {
  const blocked = (page) => page.routeWebSocket(/\/ws$/, (route) => route.close());
  const alice = await person('alice-events', '', blocked);
  const bob = await person('bob-events', '?policy=relay');
  assert.equal(await alice.locator('main').getAttribute('data-transport'), 'events');
  assert.equal(await bob.locator('main').getAttribute('data-transport'), 'websocket');
  await connect(alice, bob);
  await Promise.all([watch(alice, 10), watch(bob, 10)]);
  await daemon.kill();
  await daemon.run();
  for (const page of [alice, bob]) await page.locator('main[data-presence="in"]').waitFor();
  await Promise.all([watch(alice, 20), watch(bob, 20)]);
  await alice.getByRole('button', { name: 'Hang up' }).click();
  await reach(bob, 'idle');
  alice.complaints = alice.complaints.filter((text) => !/status of 401/.test(text)); // the response from which the page learns that its session is over
});
