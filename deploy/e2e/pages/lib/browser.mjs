/** Starts Chromium with a fake camera, and checks its pages. */

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

/** How long to wait for anything. It is long because a test that passes does not use it up. */
const PATIENCE_MS = 45_000;

/**
 * Starts Chromium; the variable CHROMIUM can name another binary. With asks, it is the Chromium that has a user interface.
 * Tests of permission prompts need it, because the headless shell can't show a prompt and waits.
 */
export function launch({ flags = FAKE_CAMERA, asks = false } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || (asks ? '/usr/bin/chromium' : shell),
    args: [...FLAGS, ...flags],
  });
}

/**
 * Opens a page in a new profile. page.complaints collects its console errors, including violations
 * of the content security policy, and its uncaught exceptions.
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

/** Console errors that are expected when a test stops the network, and on a page over plain HTTP. */
const EXPECTED = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|status of 503|WebSocket connection|Cross-Origin-Opener-Policy header has been ignored/;

/** Fails if a page has any other complaint. */
export function assertQuiet(...pages) {
  for (const page of pages) {
    assert.deepEqual(page.complaints.filter((text) => !EXPECTED.test(text)), []);
  }
}

/** Fails if the page, in its current state, violates a rule of axe-core. */
export async function assertAccessible(page, state) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  assert.deepEqual(found, [], `axe-core, ${state}`);
}

/** Waits until check returns a truthy value, and returns that value. */
export async function eventually(check, description, milliseconds = PATIENCE_MS) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > deadline) assert.fail(`not within ${milliseconds} ms: ${description}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
