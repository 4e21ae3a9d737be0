/** Chromium with a fake camera, and what the tests watch in its pages. */

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

import { chromium } from 'playwright-core';

import { shell, smallCamera, smallWindow } from '../../browser/camera.mjs';

const axe = createRequire(import.meta.url)('axe-core').source;

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
const FAKE_CAMERA = ['--use-fake-device-for-media-stream=fps=10', '--use-fake-ui-for-media-stream'];

/** How long to wait for anything: long, for what passes takes no time of it. */
const PATIENCE_MS = 45_000;

/**
 * Starts Chromium; CHROMIUM names another one than Debian's. Where it matters what a person is asked, it is the one with
 * windows: the other has nobody to ask, and waits.
 */
export function launch({ flags = FAKE_CAMERA, asks = false } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || (asks ? '/usr/bin/chromium' : shell),
    args: [...FLAGS, ...flags],
  });
}

/**
 * A new page in a profile of its own. Whatever its console shows as an error is
 * kept, refusals by the content security policy among it.
 */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: smallWindow, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  await context.addInitScript(smallCamera);
  const page = await context.newPage();
  page.complaints = [];
  page.on('console', (message) => message.type() === 'error' && page.complaints.push(message.text()));
  page.on('pageerror', (error) => page.complaints.push(error.message));
  await page.goto(url);
  return page;
}

/** What Chromium says of a network the test took away, and of a page over plain http. */
const EXPECTED = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|status of 503|WebSocket connection|Cross-Origin-Opener-Policy header has been ignored/;

/** Fails if a page complained of anything else. */
export function assertQuiet(...pages) {
  for (const page of pages) {
    assert.deepEqual(page.complaints.filter((text) => !EXPECTED.test(text)), []);
  }
}

/** Fails on every rule of axe-core that a page breaks as it is now. */
export async function assertAccessible(page, state) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  assert.deepEqual(found, [], `axe-core, ${state}`);
}

/** Waits until a check returns something true, and returns that. */
export async function eventually(check, what, milliseconds = PATIENCE_MS) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > deadline) assert.fail(`not within ${milliseconds} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
