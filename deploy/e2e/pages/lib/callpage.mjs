/** Uses the call page as a person does: through its labels and buttons. */

import { eventually } from './browser.mjs';

export async function signIn(page, name) {
  page.person = name;
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText(`Signed in as ${name}`).waitFor();
}

export async function call(page, name) {
  await page.getByLabel('Their name').fill(name);
  await page.getByRole('button', { name: 'Call', exact: true }).click();
}

export async function accept(page, from) {
  await page.getByRole('heading', { name: `${from} is calling` }).waitFor();
  await page.getByRole('button', { name: 'Accept' }).click();
}

/** Waits until the page is in a call state, such as idle, ringing, connecting or in-call. */
export async function reach(page, state) {
  await page.locator(`main[data-call="${state}"]`).waitFor();
}

/** Makes a call from one page to another and waits until both are in it. */
export async function connect(caller, callee, callerName = caller.person, calleeName = callee.person) {
  await call(caller, calleeName);
  await accept(callee, callerName);
  await Promise.all([reach(caller, 'in-call'), reach(callee, 'in-call')]);
}

/** Returns a figure of the statistics panel, unrounded. */
export async function figure(page, id) {
  return Number(await page.locator(`#${id}`).getAttribute('data-value'));
}

/** Waits until a page has decoded that many more frames. */
export async function watch(page, frames) {
  const before = await figure(page, 'stat-frames-decoded');
  await eventually(async () => (await figure(page, 'stat-frames-decoded')) >= before + frames, `${frames} more frames`);
}

export async function notice(page) {
  const target = page.locator('#notice');
  await target.waitFor();
  return target.innerText();
}

/**
 * Delays the messages from a page to the hub, starting with its first ring. Call it before the page is opened.
 * @returns rung, a promise that resolves when the page sends the ring, and release, which lets the messages through
 */
export async function holdRing(page) {
  const held = [];
  let ring;
  const rung = new Promise((resolve) => (ring = resolve));
  let release;
  await page.routeWebSocket(/\/ws/, (route) => {
    const server = route.connectToServer();
    let holds = false;
    let released = false;
    release = () => {
      released = true;
      for (const message of held.splice(0)) server.send(message);
    };
    route.onMessage((message) => {
      holds ||= JSON.parse(message).kind === 'ring';
      if (!holds || released) return server.send(message);
      held.push(message);
      ring();
    });
  });
  return { rung, release: () => release() };
}

/** Creates a call with a link, and returns the link. */
export async function create(page) {
  await page.getByRole('button', { name: 'New call with a link' }).click();
  await reach(page, 'waiting');
  return page.getByLabel('Share this link.').inputValue();
}

/** Opens the chat if it is closed, and sends a message. */
export async function say(page, words) {
  if (await page.locator('#chat').isHidden()) await page.getByRole('button', { name: /^Chat/ }).click();
  await page.getByRole('textbox', { name: 'Message' }).fill(words);
  await page.getByRole('button', { name: 'Send' }).click();
}
