/** The ICE servers for the next call. They come with a sign-in and grow old. */

import { fetchIceServers, knownServers, timeToLive } from '../shared/server.js';

/** Credentials are replaced when they have less than this to live. */
const MARGIN_MS = 60_000;

export class IceServers {
  /** @type {RTCIceServer[]} */
  #servers = [];
  #until = 0;
  #page;
  #get;

  /**
   * @param {string} page the page's own URL
   * @param {typeof fetchIceServers} [get]
   */
  constructor(page, get = fetchIceServers) {
    this.#page = page;
    this.#get = get;
  }

  /**
   * Takes what a sign-in's reply brought.
   * @param {unknown} reply
   */
  take(reply) {
    this.#servers = knownServers(reply);
    this.#until = Date.now() + timeToLive(reply) * 1000;
  }

  /**
   * Servers that are good for a call now. When fresh ones can't be had, the old
   * ones: without a relay many calls still connect.
   * @returns {Promise<RTCIceServer[]>}
   */
  async current() {
    if (Date.now() > this.#until - MARGIN_MS) {
      try {
        this.take(await this.#get(this.#page));
      } catch {
        // Kept: see above.
      }
    }
    return this.#servers;
  }
}

/**
 * Whether a relay is among the servers.
 * @param {RTCIceServer[]} servers
 * @returns {boolean}
 */
export function hasRelay(servers) {
  return servers.some(({ urls }) => [urls].flat().some((url) => /^turns?:/i.test(url)));
}
