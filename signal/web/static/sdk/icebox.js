/**
 * The browser SDK of icebox: sign in, call others, and be called.
 *
 *   const client = await connect({ name: 'alice' });
 *   const call = await client.createCall();
 *   show(call.link);
 *
 * README.md shows how to use it, and icebox.d.ts declares everything.
 */

import { Client } from './client.js';

export { Call } from './call.js';
export { Client } from './client.js';
export { IceboxError } from './errors.js';
export { IncomingCall } from './incoming.js';
export { listDevices, LocalMedia, openMedia } from './media.js';
export { Party } from './party.js';

/**
 * @typedef {object} ConnectOptions
 * @property {string | URL} [url] the server; by default the one that this module was loaded from
 * @property {string} [name]
 * @property {string | (() => string | Promise<string>)} [token] a JWT, or a function that returns a new one
 * @property {string} [key] an API key
 * @property {'auto' | 'websocket' | 'events'} [transport]
 * @property {string} [replace] the secret of an earlier client, whose session ends and whose name this client gets at once
 * @property {import('./websocket.js').Environment} [environment] replacements for APIs of the browser, for tests
 */

/**
 * Signs in to a server.
 * @param {ConnectOptions} [options]
 * @returns {Promise<Client>} rejects with an IceboxError, without trying again
 */
export function connect(options = {}) {
  const { token, key, url = defaultServer(), name, replace, transport = 'auto', environment = {} } = options;
  const base = new URL(url, globalThis.location?.href);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  const client = new Client({
    url: base.href, name, replace, transport, environment,
    token: async () => (typeof token === 'function' ? token() : token ?? key),
    renewable: typeof token === 'function',
  });
  return client.open();
}

/** The server that this module was loaded from. If the module is in a bundle, it is the server of the page. */
function defaultServer() {
  const here = new URL('..', import.meta.url);
  return import.meta.url.includes('/sdk/icebox.js') ? here : new URL('/', globalThis.location?.href);
}
