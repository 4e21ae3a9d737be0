/** The call page as a person uses it: by labels and buttons. */

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

/** Waits until the page is in a call state: idle, ringing, connecting, in-call... */
export async function reach(page, state) {
  await page.locator(`main[data-call="${state}"]`).waitFor();
}

/** A call from one page to another, until both are in it. */
export async function connect(caller, callee, callerName = caller.person, calleeName = callee.person) {
  await call(caller, calleeName);
  await accept(callee, callerName);
  await Promise.all([reach(caller, 'in-call'), reach(callee, 'in-call')]);
}

/** A figure of the panel, unrounded. */
export async function figure(page, id) {
  return Number(await page.locator(`#${id}`).getAttribute('data-value'));
}

/** Waits until a page has decoded so many more frames than it has now. */
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
 * Holds back what a page that is not open yet sends to the hub, from its first
 * ring on.
 * @returns what is fulfilled when it rings, and a function that lets it through
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
