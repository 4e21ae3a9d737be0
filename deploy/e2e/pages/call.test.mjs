/** The call page against the real daemon: from sign-in to hang-up. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { assertQuiet, eventually, launch, open } from './lib/browser.mjs';
import { call, connect, figure, holdRing, notice, reach, signIn, watch } from './lib/callpage.mjs';
import { runClassic } from './lib/classic.mjs';
import { Daemon } from './lib/daemon.mjs';

let daemon;
let browser;
let pages = [];
let testNumber = 0;

const own = (name) => `${name}${testNumber}`;

before(async () => {
  daemon = await Daemon.start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await daemon?.stop();
});

afterEach(async () => {
  testNumber += 1;
  const all = pages;
  pages = [];
  for (const page of all) await page.context().close();
  assertQuiet(...all);
});

/**
 * Opens a page for each name and signs it in. Each test has names of its own, because the server reserves the name of a client that lost its connection for a while.
 */
async function people(names, query = '') {
  const opened = [];
  for (const name of names) {
    const page = await open(browser, daemon.url + query);
    pages.push(page);
    opened.push(page);
    await signIn(page, own(name));
  }
  return opened;
}

test('two people call, see each other, hang up, and call again without a reload', async () => {
  const [alice, bob] = await people(['alice', 'bob']);
  await connect(alice, bob);
  await Promise.all([watch(alice, 30), watch(bob, 30)]);
  assert.match(await alice.locator('#call-state').innerText(), new RegExp(`^In call with ${bob.person}$`));
  assert.match(await alice.locator('#path-words').innerText(), new RegExp(`^Your video goes straight to ${bob.person} over UDP`));
  assert.equal(await alice.locator('#stat-local').getAttribute('data-type'), 'host');
  assert.ok((await figure(alice, 'stat-bytes-sent')) > 10_000);
  assert.ok((await figure(alice, 'stat-bytes-received')) > 10_000);

  await bob.getByRole('button', { name: 'Hang up' }).click();
  await reach(bob, 'idle');
  assert.equal(await notice(alice), `${bob.person} hung up.`);

  await connect(bob, alice);
  await Promise.all([watch(alice, 10), watch(bob, 10)]);
});

test('with “relay only” on both sides the media go through the relay', async () => {
  const [alice] = await people(['alice'], '?policy=relay');
  const [bob] = await people(['bob']);
  assert.ok(await alice.getByLabel('Always use the relay').isChecked());
  await bob.getByText('Options', { exact: true }).click();
  await bob.getByLabel('Always use the relay').check();
  await connect(alice, bob);
  await Promise.all([watch(alice, 30), watch(bob, 30)]);
  for (const page of [alice, bob]) {
    assert.equal(await page.locator('#stat-local').getAttribute('data-type'), 'relay');
    assert.equal(await page.locator('#stat-remote').getAttribute('data-type'), 'relay');
    // The browser chooses the transport to the relay.
    const words = await page.locator('#path-words').innerText();
    assert.match(words, /^Your video goes through this server’s relay over (UDP|TCP)\. \w+ uses a relay too\.$/);
    assert.match(await page.locator('#stat-relay-protocol').getAttribute('data-value'), /^(udp|tcp)$/);
  }
  await alice.getByRole('button', { name: 'Hang up' }).click();
  assert.equal(await notice(bob), `${alice.person} hung up.`);
});

test('mute and camera off stop the sending', async () => {
  const [alice, bob] = await people(['alice', 'bob']);
  await connect(alice, bob);
  await watch(bob, 10);
  const sending = () => alice.locator('#local-video').evaluate((video) =>
    video.srcObject.getTracks().map(({ kind, enabled }) => `${kind} ${enabled}`).sort());
  for (const name of ['Mute', 'Camera off']) await alice.getByRole('button', { name }).click();
  assert.equal(await alice.getByRole('button', { name: 'Mute' }).getAttribute('aria-pressed'), 'true');
  assert.deepEqual(await sending(), ['audio false', 'video false']);
  await alice.getByRole('button', { name: 'Camera off' }).click();
  assert.deepEqual(await sending(), ['audio false', 'video true']);
});

test('a name that is in use, and names that cannot be called', async () => {
  const [alice] = await people(['alice']);
  const other = await open(browser, daemon.url);
  pages.push(other);
  await other.getByRole('button', { name: 'Sign in' }).click();
  assert.match(await other.getByRole('alert').innerText(), /Enter a name/);
  await other.getByLabel('Your name').fill(alice.person);
  await other.getByRole('button', { name: 'Sign in' }).click();
  await other.getByText('Someone is already signed in with this name.').waitFor();
  await signIn(other, own('alia'));

  await call(alice, 'nobody');
  assert.match(await notice(alice), /^nobody is not signed in\./);
  await call(alice, alice.person);
  await alice.getByText('This is your own name.').waitFor();
  await call(alice, '');
  await alice.getByText('Enter the name of the person you want to call.').waitFor();
});

test('a call that is declined, cancelled, or made to someone who is busy', async () => {
  const [alice, bob, carol] = await people(['alice', 'bob', 'carol']);
  await call(alice, bob.person);
  await bob.getByRole('button', { name: 'Decline' }).click();
  assert.match(await notice(alice), new RegExp(`^${bob.person} declined`));

  await call(alice, bob.person);
  await reach(bob, 'incoming');
  await alice.getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await notice(bob), `You missed a call from ${alice.person}.`);

  await connect(alice, bob);
  await call(carol, alice.person);
  assert.equal(await notice(carol), `${alice.person} is in another call.`);
  assert.equal(await notice(alice), `${carol.person} tried to call you.`);
  await watch(alice, 10);
});

test('both call each other at once', async () => {
  const both = [];
  for (const name of [own('ann'), own('ben')]) {
    const page = await open(browser, 'about:blank');
    pages.push(page);
    const { rung, release } = await holdRing(page);
    await page.goto(daemon.url);
    await signIn(page, name);
    both.push({ page, rung, release });
  }
  const [ann, ben] = both;
  await call(ann.page, own('ben'));
  await call(ben.page, own('ann'));
  for (const { rung } of both) await rung;
  for (const { release } of both) release();
  for (const { page } of both) await reach(page, 'in-call');
  await Promise.all([watch(ann.page, 10), watch(ben.page, 10)]);
});

for (const ender of ['the page', 'the other client']) {
  test(`a call with another client of the classic protocol, ended by ${ender}`, async () => {
    const [alice] = await people(['alice']);
    const other = await open(browser, `${daemon.url}trickle-ice/`);
    pages.push(other);
    assert.equal(await runClassic(other, 'classic'), true);
    await call(alice, 'classic');
    await reach(alice, 'in-call');
    await watch(alice, 10);
    await eventually(() => other.evaluate(() => globalThis.classic.frames >= 10), 'frames at the other client');
    if (ender === 'the page') {
      await alice.getByRole('button', { name: 'Hang up' }).click();
      await eventually(() => other.evaluate(() => globalThis.classic.left), 'a leave at the other client');
    } else {
      await other.evaluate(() => globalThis.classic.hangUp());
      assert.equal(await notice(alice), 'classic hung up.');
    }
  });
}

test('closing the window ends the call for the other side', async () => {
  const [alice, bob] = await people(['alice', 'bob']);
  await connect(alice, bob);
  await bob.close({ runBeforeUnload: false });
  assert.equal(await notice(alice), `${bob.person} hung up.`);
});

test('a call survives the daemon’s end; both sides sign in again, and hanging up still works', async () => {
  const [alice, bob] = await people(['alice', 'bob']);
  await connect(alice, bob);
  await daemon.kill();
  for (const page of [alice, bob]) await page.locator('main[data-presence="lost"]').waitFor();
  await Promise.all([watch(alice, 10), watch(bob, 10)]);
  await daemon.run();
  for (const page of [alice, bob]) {
    const reconnect = page.getByRole('button', { name: 'Reconnect now' });
    await eventually(async () => {
      if (await reconnect.isVisible()) await reconnect.click().catch(() => {});
      return page.locator('main[data-presence="in"]').isVisible();
    }, 'signed in again');
    assert.equal(await page.locator('main').getAttribute('data-call'), 'in-call');
    // If the WebSocket was slow, the page first asked for its old session by POST. The new daemon does not know it and returns 401.
    page.complaints = page.complaints.filter((text) => !text.includes('status of 401'));
  }
  await alice.getByRole('button', { name: 'Hang up' }).click();
  assert.equal(await notice(bob), `${alice.person} hung up.`);
  await connect(bob, alice);
});

test('a lost WebSocket is replaced without a notice', async () => {
  const [alice] = await people(['alice']);
  const bob = await open(browser, 'about:blank');
  pages.push(bob);
  const sockets = [];
  await bob.routeWebSocket(/\/ws$/, (route) => {
    sockets.push(route);
    route.connectToServer();
  });
  await bob.goto(daemon.url);
  await signIn(bob, own('bob'));
  await connect(alice, bob);
  await watch(alice, 1);
  await sockets[0].close({ code: 3000, reason: 'test' });
  await eventually(() => sockets.length > 1, 'another socket');
  await bob.locator('main[data-presence="in"]').waitFor();
  await watch(alice, 10);
  assert.ok(await alice.locator('#notice').isHidden());
  await bob.getByRole('button', { name: 'Hang up' }).click();
  assert.equal(await notice(alice), `${bob.person} hung up.`);
});
