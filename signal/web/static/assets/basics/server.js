/**
 * The server this page came from: its addresses, and the ICE servers it hands
 * out. All addresses are relative to the page, so that a proxy may serve
 * icebox below a prefix, and carry the page's own ?key= on.
 */

/**
 * An address beside the server's front page, with the page's key.
 * @param {string} name "ws", "ice", "trickle-ice/" or "" for the front page
 * @param {string} page the page's own URL
 * @returns {URL}
 */
export function beside(name, page) {
  const from = new URL(page);
  const root = new URL(from.pathname.endsWith('/trickle-ice/') ? '..' : '.', from);
  const target = new URL(name, root);
  const key = from.searchParams.get('key');
  if (key !== null) target.searchParams.set('key', key);
  return target;
}

/**
 * The server was asked and refused; the message says why in words a person can
 * act on.
 */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} code the server's own word for it, if it gave one
   * @param {boolean} hasKey whether the page's URL has a key
   */
  constructor(status, code, hasKey) {
    super(refusalWords(status, code, hasKey));
    /** Whether asking again later can help. */
    this.passing = status === 429 || status >= 500;
  }
}

/**
 * @param {number} status
 * @param {string} code
 * @param {boolean} hasKey
 * @returns {string}
 */
function refusalWords(status, code, hasKey) {
  if (code === 'no-key' || (status === 401 && !hasKey)) {
    return 'This server wants a key. Open the page with the link you were given; it ends with “?key=…”.';
  }
  if (code === 'bad-key' || status === 401) {
    return 'The server does not know the key in this page’s address. Ask whoever runs it for a new link.';
  }
  if (status === 403) return 'The server refused this page: its key or its origin is not allowed.';
  if (status === 429) return 'Too many requests from your address. Wait a minute, then try again.';
  if (status === 503) return 'The server is full or shutting down. Try again in a moment.';
  return `The server answered with an error (HTTP ${status}).`;
}

/**
 * Fetches ICE servers with fresh credentials.
 * @param {string} page the page's own URL
 * @param {string} [token] the bearer of a live sign-in
 * @param {typeof fetch} [get]
 * @returns {Promise<{iceServers: RTCIceServer[], ttl: number}>} ttl in seconds;
 *   rejects with a Refusal, or with another error when the server can't be reached
 */
export async function fetchIceServers(page, token = '', get = fetch) {
  const address = beside('ice', page);
  // By POST, because only then a browser says from which origin it asks, which
  // the server goes by where no key is wanted.
  /** @type {RequestInit} */
  const request = { method: 'POST', cache: 'no-store', credentials: 'same-origin' };
  if (token) request.headers = { Authorization: `Bearer ${token}` };
  /** @type {Response} */
  let response;
  try {
    response = await get(address, request);
  } catch {
    throw new Error('The server cannot be reached. Check your connection, then try again.');
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Refusal(response.status, answer?.code ?? '', address.searchParams.has('key'));
  if (answer === null) {
    throw new Error('The server’s answer is not a list of ICE servers. Is a proxy in front answering for it?');
  }
  return { iceServers: knownServers(answer), ttl: timeToLive(answer) };
}

/**
 * The RTCIceServer objects in a reply, whatever else it holds; none when the
 * reply has none.
 * @param {unknown} reply
 * @returns {RTCIceServer[]}
 */
export function knownServers(reply) {
  const list = /** @type {{iceServers?: unknown} | null} */ (reply)?.iceServers;
  if (!Array.isArray(list)) return [];
  return list.filter((one) => one && one.urls && one.urls.length > 0);
}

/**
 * How many seconds a reply's credentials live: its ttl, else what is left until
 * its expires (Unix time), else for ever.
 * @param {unknown} reply
 * @param {number} [now] Unix time in seconds
 * @returns {number}
 */
export function timeToLive(reply, now = Date.now() / 1000) {
  const { ttl, expires } = /** @type {{ttl?: unknown, expires?: unknown}} */ (reply ?? {});
  if (typeof ttl === 'number' && ttl > 0) return ttl;
  if (typeof expires === 'number' && expires > 0) return Math.max(0, expires - now);
  return Infinity;
}
