/** The largest possible call: eight clients of the SDK in one page, each connected to every other by data channels. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { assertQuiet, launch, open } from './lib/browser.mjs';
import { Daemon } from './lib/daemon.mjs';

const PARTIES = 8;

let daemon;
let browser;

before(async () => {
  daemon = await Daemon.start({ signal: { calls: { parties: PARTIES } } });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await daemon?.stop();
});

test('eight join by a link and hear each other; a ninth can join only after one leaves; one hangs up for all', async () => {
  const page = await open(browser, `${daemon.url}examples/`);
  const told = await page.evaluate(async (parties) => {
    const { connect } = await import('/sdk/icebox.js');
    const options = { media: { audio: false, video: false }, max: parties };
    const everybody = [];
    const until = async (description, check) => {
      for (const end = performance.now() + 60_000; !check(); ) {
        if (performance.now() > end) throw new Error(`not within a minute: ${description}: ${JSON.stringify(everybody.map(({ call, heard }) => [call.state, call.parties.map((p) => p.connected), heard.length]))}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const enter = async (id) => {
      const client = await connect();
      const call = id ? await client.join(id, options).catch((error) => (client.close(), Promise.reject(error))) : await client.createCall(options);
      const one = { client, call, heard: [], left: [], end: null };
      call.on('data', ({ party, data }) => one.heard.push([party.id, data]));
      call.on('left', ({ party }) => one.left.push(party.id));
      call.on('end', ({ reason }) => (one.end = reason));
      everybody.push(one);
      return one;
    };
    const meshed = (n) => until(`${n} parties`, () => everybody.every(({ call }) => call.parties.length === n - 1 && call.parties.every((p) => p.connected)));
    /** Everyone sends one message. Returns how many did not receive exactly one from each of the others. */
    const round = async (word) => {
      for (const { call, client, heard } of everybody) {
        heard.length = 0;
        call.send([word, client.id]);
      }
      await until('all words', () => everybody.every(({ heard }) => heard.length >= everybody.length - 1));
      return everybody.filter(({ client: me, heard }) => {
        const want = everybody.filter(({ client }) => client !== me).map(({ client }) => JSON.stringify([client.id, [word, client.id]]));
        return JSON.stringify(want.sort()) !== JSON.stringify(heard.map((h) => JSON.stringify(h)).sort());
      }).length;
    };

    const first = await enter();
    await Promise.all(Array.from({ length: parties - 1 }, () => enter(first.call.id)));
    await meshed(parties);
    const incomplete = await round('one');
    const refusal = await enter(first.call.id).then(() => 'none', ({ code }) => code);
    const [gone] = everybody.splice(3, 1);
    gone.call.leave();
    await meshed(parties - 1);
    const missed = everybody.filter(({ left }) => left.join() !== gone.client.id).length;
    await enter(first.call.id);
    await meshed(parties);
    const incompleteAgain = await round('two');
    everybody[5].call.hangUp();
    await until('the end', () => everybody.every(({ end }) => end));
    const ends = new Set(everybody.map(({ end }) => end));
    for (const { client } of [...everybody, gone]) client.close();
    return { incomplete, refusal, missed, incompleteAgain, ends: [...ends] };
  }, PARTIES);
  assert.deepEqual(told, { incomplete: 0, refusal: 'call-full', missed: 0, incompleteAgain: 0, ends: ['hangup'] });
  assertQuiet(page);
});
