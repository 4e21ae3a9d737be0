/** Uses both pages with the keyboard alone. The focus must always be visible. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { assertQuiet, launch, open } from './lib/browser.mjs';
import { notice, reach, signIn, watch } from './lib/callpage.mjs';
import { Daemon } from './lib/daemon.mjs';

let daemon;
let browser;

before(async () => {
  daemon = await Daemon.start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await daemon?.stop();
});

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});

/** Presses Tab until the element with the given id has the focus, which must be visible. */
async function tabTo(page, id) {
  for (let presses = 0; presses < 30; presses += 1) {
    const [focused, outlined] = await page.evaluate(() => {
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
      return [document.activeElement.id, outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2];
    });
    if (focused === id) {
      assert.ok(outlined, `the focus on #${id} is not visible`);
      return;
    }
    await page.keyboard.press('Tab');
  }
  assert.fail(`#${id} can't be reached by Tab`);
}

const focusIs = (page, id) => page.locator(`#${id}:focus`).waitFor();

test('a call by keyboard alone', async () => {
  const alice = await open(browser, daemon.url);
  const bob = await open(browser, daemon.url);
  await signIn(bob, 'bob');

  await alice.keyboard.press('Tab');
  assert.equal(await alice.evaluate(() => document.activeElement.textContent), 'Skip to content');
  await alice.keyboard.press('Enter');
  await focusIs(alice, 'main');
  await tabTo(alice, 'name');
  await alice.keyboard.type('alice');
  await alice.keyboard.press('Enter');
  await focusIs(alice, 'callee');
  await alice.keyboard.type('bob');
  await alice.keyboard.press('Enter');

  await focusIs(bob, 'incoming'); // the focus is on the dialog, so that an accidental key press does not answer
  await bob.keyboard.press('Enter');
  await reach(bob, 'incoming');
  await tabTo(bob, 'accept');
  await bob.keyboard.press('Enter');
  await reach(alice, 'in-call');
  await watch(alice, 5);

  await focusIs(alice, 'stage-title');
  await tabTo(alice, 'mute');
  await alice.keyboard.press('Space');
  assert.equal(await alice.locator('#mute').getAttribute('aria-pressed'), 'true');
  await tabTo(alice, 'hang-up');
  await alice.keyboard.press('Enter');
  await focusIs(alice, 'callee');
  assert.equal(await notice(bob), 'alice hung up.');

  await alice.keyboard.press('Enter'); // the name is still in the input
  await reach(bob, 'incoming');
  await bob.keyboard.press('Escape');
  assert.match(await notice(alice), /^bob declined/);
  await tabTo(alice, 'sign-out');
  await alice.keyboard.press('Enter');
  await focusIs(alice, 'name');
  assertQuiet(alice, bob);
});

test('trickle ICE by keyboard alone', async () => {
  const page = await open(browser, `${daemon.url}trickle-ice/`);
  await tabTo(page, 'own');
  await page.keyboard.press('Enter');
  await page.locator('#servers li').first().waitFor();
  await focusIs(page, 'own');
  await tabTo(page, 'uri');
  await page.keyboard.type(`turn:${daemon.turn}`);
  await page.keyboard.press('Enter');
  await focusIs(page, 'username'); // the invalid input gets the focus
  await page.keyboard.type('alice');
  await tabTo(page, 'credential');
  await page.keyboard.type('wrong');
  await page.keyboard.press('Enter');
  await focusIs(page, 'uri');
  await tabTo(page, 'policy-all');
  await page.keyboard.press('ArrowRight');
  assert.ok(await page.getByLabel('Relay only').isChecked());
  await tabTo(page, 'gather');
  await page.keyboard.press('Enter');
  await page.locator('main[data-gathering="done"]').waitFor();
  await focusIs(page, 'gather');
  assertQuiet(page);
});
