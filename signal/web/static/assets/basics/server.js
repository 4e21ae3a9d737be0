/**
 * The server that this page came from: its URLs, and its ICE servers. All URLs are relative to the page, so that a proxy may serve
 * icebox below a path prefix, and they carry the ?key= of the page.
 */

/**
 * Returns a URL in the same folder as the call page, with the key of the page.
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
 * The server refused a request. The message tells the user why, and what to do.
 */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} code the error code in the response; empty if it has none
   * @param {boolean} hasKey whether the page's URL has a key
   */
  constructor(status, code, hasKey) {
    super(refusalWords(status, code, hasKey));
    /** Whether the same request may succeed later. */
    this.temporary = status === 429 || status >= 500;
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
    return 'This server requires a key. Open the page with the link you were given, which ends with “?key=…”.';
  }
  if (code === 'bad-key' || status === 401) {
    return 'The key in this page’s address is not valid. Ask the owner of this server for a new link.';
  }
  if (status === 403) return 'This server does not accept this page’s key or origin. Ask the owner of this server for a new link.';
  if (status === 429) return 'Too many requests from your address. Wait a minute, then try again.';
  if (status === 503) return 'The server is full or shutting down. Try again in a moment.';
  return `The server responded with an error (HTTP ${status}).`;
}

/**
 * Fetches ICE servers with fresh credentials.
 * @param {string} page the page's own URL
 * @param {string} [token] the token of a live sign-in
 * @param {typeof fetch} [fetchFn]
 * @returns {Promise<{iceServers: RTCIceServer[], ttl: number}>} ttl is in seconds. It rejects with a Refusal, or with another
 *   error if the server can't be reached.
 */
export async function fetchIceServers(page, token = '', fetchFn = fetch) {
  const address = beside('ice', page);
  // This is a POST because browsers send Origin with it. If no key is required, the server decides by the origin.
  /** @type {RequestInit} */
  const request = { method: 'POST', cache: 'no-store', credentials: 'same-origin' };
  if (token) request.headers = { Authorization: `Bearer ${token}` };
  /** @type {Response} */
  let response;
  try {
    response = await fetchFn(address, request);
  } catch {
    throw new Error('The server can’t be reached. Check your connection, then try again.');
  }
  const reply = await response.json().catch(() => null);
  if (!response.ok) throw new Refusal(response.status, reply?.code ?? '', address.searchParams.has('key'));
  if (reply === null) {
    throw new Error('The response is not a list of ICE servers. Check the proxy in front of the server.');
  }
  return { iceServers: validServers(reply), ttl: timeToLive(reply) };
}

/**
 * Returns the valid RTCIceServer objects in a reply. The list is empty if there are none.
 * @param {unknown} reply
 * @returns {RTCIceServer[]}
 */
export function validServers(reply) {
  const list = /** @type {{iceServers?: unknown} | null} */ (reply)?.iceServers;
  if (!Array.isArray(list)) return [];
  return list.filter((one) => one && one.urls && one.urls.length > 0);
}

/**
 * Returns for how many seconds the credentials in a reply are valid: its ttl; else the time until its expires, which is Unix
 * time; else Infinity.
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
