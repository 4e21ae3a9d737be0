/** Tests the trickle-ICE page with a real daemon. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { assertQuiet, launch, open } from './lib/browser.mjs';
import { Daemon, freePort } from './lib/daemon.mjs';

let daemon;
let browser;
let page;

before(async () => {
  daemon = await Daemon.start();
  browser = await launch({ flags: ['--host-resolver-rules=MAP insecure.test 127.0.0.1'] });
});

after(async () => {
  await browser?.close();
  await daemon?.stop();
});

beforeEach(async () => {
  page = await open(browser, `${daemon.url}trickle-ice/`);
});

afterEach(async () => {
  await page.context().close();
  assertQuiet(page);
});

async function add(uri, username = '', credential = '') {
  await page.getByLabel('STUN or TURN URI').fill(uri);
  await page.getByLabel('TURN username').fill(username);
  await page.getByLabel('TURN password').fill(credential);
  await page.getByRole('button', { name: 'Add server' }).click();
}

async function useOwn() {
  await page.getByRole('button', { name: 'Use this server' }).click();
  await page.locator('#servers li').first().waitFor();
}

async function gather() {
  await page.getByRole('button', { name: 'Gather candidates' }).click();
  await page.locator('main[data-gathering="done"]').waitFor();
}

/** The page's finding about a server. */
const finding = (uri) => page.locator(`#findings li[data-uri="${uri}"]`);

test('the server’s own list gives relay candidates over UDP and TCP', async () => {
  await useOwn();
  await gather();
  assert.match(await page.locator('#summary').innerText(), /^\d+ candidates in \d+\.\d s; a relay over UDP and TCP works\.$/);
  for (const protocol of ['udp', 'tcp']) {
    const row = page.locator(`#candidate-rows tr[data-type="relay"][data-relay-protocol="${protocol}"]`).first();
    const cells = await row.getByRole('cell').allInnerTexts();
    assert.match(cells[0], /^\d+ ms$/);
    assert.deepEqual(cells.slice(1, 4), ['relay', `UDP, relay over ${protocol.toUpperCase()}`, '127.0.0.1']);
    assert.match(cells[7], new RegExp(`^turn:${daemon.turn}`));
  }
  assert.equal(await page.locator('#findings li[data-kind="good"][data-uri^="turn:"]').count(), 2);
  assert.equal(await page.locator('#findings li[data-kind="bad"]').count(), 0);
  assert.equal(await page.locator('#error-rows tr').count(), 0);
});

test('an insecure page gets the server’s own list, too', async () => {
  // From such a page a browser sends the server less information about a request's origin.
  await page.goto(`${daemon.url.replace('127.0.0.1', 'insecure.test')}trickle-ice/`);
  await useOwn();
  await gather();
  assert.match(await page.locator('#summary').innerText(), /a relay over UDP and TCP works\.$/);
});

test('the page explains a wrong password in words', async () => {
  await add(`turn:${daemon.turn}?transport=udp`, 'alice', 'wrong');
  await gather();
  assert.match(await finding(`turn:${daemon.turn}?transport=udp`).innerText(), /Wrong username or password \(401\)/);
  assert.match(await page.locator('#summary').innerText(), /no relay works\.$/);
  assert.match(await page.locator('#error-rows tr[data-code="401"]').first().innerText(), /Wrong username or password/);
});

test('the page explains in words that a server can’t be reached', async () => {
  const uri = `turn:127.0.0.1:${await freePort()}?transport=tcp`;
  await add(uri, 'alice', 'secret');
  await gather();
  assert.match(await finding(uri).innerText(), /can’t be reached \(701\)/);
});

test('waiting for a server that never answers can be stopped', async () => {
  const uri = `turn:127.0.0.1:${await freePort()}?transport=udp`;
  await add(uri, 'alice', 'secret');
  await page.getByRole('button', { name: 'Gather candidates' }).click();
  await page.getByRole('button', { name: 'Stop waiting' }).click();
  assert.match(await finding(uri).innerText(), /has not responded|can’t be reached/);
  await page.getByRole('button', { name: 'Gather candidates' }).waitFor();
});

test('“relay only” shows relay candidates and no others', async () => {
  await useOwn();
  await page.getByLabel('Relay only').check();
  await page.getByLabel('Pool size').fill('2');
  await gather();
  const types = await page.locator('#candidate-rows tr').evaluateAll((rows) => rows.map(({ dataset }) => dataset.type));
  assert.ok(types.length > 0);
  assert.deepEqual([...new Set(types)], ['relay']);
});

test('without a server the browser’s own addresses are found', async () => {
  await gather();
  assert.match(await page.locator('#summary').innerText(), /^\d+ candidates? in/);
  assert.match(await page.locator('#findings').innerText(), /No TURN server was tested/);
});

test('servers are added, changed, removed and checked', async () => {
  for (const [uri, username, credential, words] of [
    ['', '', '', 'Enter a URI'],
    ['turn://127.0.0.1', '', '', 'No slashes'],
    ['turn:127.0.0.1', '', '', 'Enter the username and the password'],
    ['turn:127.0.0.1', 'alice', '', 'Enter the password'],
    ['stun:127.0.0.1?transport=udp', '', '', 'nothing after the port'],
  ]) {
    await add(uri, username, credential);
    assert.match(await page.getByRole('alert').innerText(), new RegExp(words));
  }
  await add('turn:127.0.0.1:1', 'alice', 'one');
  await add('stun:127.0.0.1:2');
  assert.equal(await page.locator('#servers li').count(), 2);
  await page.getByRole('button', { name: 'Edit turn:127.0.0.1:1' }).click();
  assert.equal(await page.getByLabel('TURN password').inputValue(), 'one');
  await page.getByLabel('STUN or TURN URI').fill('turn:127.0.0.1:3');
  await page.getByRole('button', { name: 'Save' }).click();
  assert.deepEqual(await page.locator('#servers code').allInnerTexts(), ['turn:127.0.0.1:3', 'stun:127.0.0.1:2']);
  await page.getByRole('button', { name: 'Remove turn:127.0.0.1:3' }).click();
  assert.deepEqual(await page.locator('#servers code').allInnerTexts(), ['stun:127.0.0.1:2']);
  await page.getByRole('button', { name: 'Remove stun:127.0.0.1:2' }).click();
  assert.ok(await page.getByLabel('STUN or TURN URI').evaluate((input) => input === document.activeElement));
  await page.getByLabel('Pool size').fill('11');
  await page.getByRole('button', { name: 'Gather candidates' }).click();
  assert.match(await page.locator('#gather-problem').innerText(), /from 0 to 10/);
});
