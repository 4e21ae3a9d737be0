// One headless Chromium with a fake camera, controlled by lines of JSON. Each request {id, op, ...}
// on standard input gets one reply, {id, value} or {id, error}, on standard output. The driver ends
// when its input ends.
//
// Operations: goto {url} opens a page. run {body, args} runs the body of an async function in the
// page; its JSON result is the value. click {selector}, fill {selector, text} and press {key} use
// the browser's own input, as a person does. shot {path} takes a screenshot.
//
// RTCPeerConnection is wrapped before the page's own scripts run, so that window.e2ePeers lists the
// connections that the page creates. Console errors and uncaught exceptions go to standard error.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

import { shell, smallCamera, smallWindow } from "./camera.mjs";

const instrument = () => {
	const Native = window.RTCPeerConnection;
	window.e2ePeers = [];
	window.RTCPeerConnection = class extends Native {
		constructor(...args) {
			super(...args);
			window.e2ePeers.push(this);
		}
	};
};

const context = await chromium.launchPersistentContext(process.env.E2E_PROFILE, {
	executablePath: process.env.CHROMIUM || shell,
	headless: true,
	viewport: smallWindow,
	timeout: 60_000,
	args: [
		"--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream=fps=10", "--use-fake-ui-for-media-stream",
	],
});
await context.addInitScript(instrument);
await context.addInitScript(smallCamera);
const page = context.pages()[0] ?? (await context.newPage());
page.setDefaultTimeout(20_000);
page.on("console", (m) => { if (m.type() === "error") console.error(`console: ${m.text()}`); });
page.on("pageerror", (e) => console.error(`uncaught: ${e.stack}`));

const operations = {
	goto: async ({ url }) => { await page.goto(url); },
	run: ({ body, args }) => page.evaluate(`(async (args) => { ${body} })(${JSON.stringify(args ?? null)})`),
	click: ({ selector }) => page.click(selector),
	fill: ({ selector, text }) => page.fill(selector, text),
	press: ({ key }) => page.keyboard.press(key),
	shot: async ({ path }) => { await page.screenshot({ path, fullPage: true }); },
};

// Every operation has a time limit, so that a test can't hang.
const within = (ms, promise) => {
	let timer;
	const timeout = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`not done after ${ms} ms`)), ms); });
	return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
};

process.stdout.write(`${JSON.stringify({ id: 0, value: context.browser()?.version() ?? "" })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
	const request = JSON.parse(line);
	let reply;
	try {
		reply = { id: request.id, value: (await within(90_000, operations[request.op](request))) ?? null };
	} catch (e) {
		reply = { id: request.id, error: e.message };
	}
	process.stdout.write(`${JSON.stringify(reply)}\n`);
}
await context.close();
