/**
 * The browser's side of icebox: sign in, call, be called.
 *
 *   const client = await connect({ name: 'alice' });
 *   const call = await client.createCall();
 *   show(call.link);
 *
 * See README.md for more, and icebox.d.ts for all there is.
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
 * @property {string | URL} [url] the server: where this module comes from, if left out
 * @property {string} [name]
 * @property {string | (() => string | Promise<string>)} [token] a JWT, or what gives a fresh one
 * @property {string} [key] an API key
 * @property {'auto' | 'websocket' | 'events'} [transport]
 * @property {string} [replace] the secret of an earlier client, whose name is ours at once
 * @property {import('./websocket.js').Environment} [environment] instead of the browser's
 */

/**
 * Signs in.
 * @param {ConnectOptions} [options]
 * @returns {Promise<Client>} rejects with an IceboxError
 */
export function connect(options = {}) {
  const { token, key, url = home(), name, replace, transport = 'auto', environment = {} } = options;
  const base = new URL(url, globalThis.location?.href);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  const client = new Client({
    url: base.href, name, replace, transport, environment,
    token: async () => (typeof token === 'function' ? token() : token ?? key),
    renewable: typeof token === 'function',
  });
  return client.open();
}

/** The server that this module comes from, or the page's if it was put somewhere else. */
function home() {
  const here = new URL('..', import.meta.url);
  return import.meta.url.includes('/sdk/icebox.js') ? here : new URL('/', globalThis.location?.href);
}
