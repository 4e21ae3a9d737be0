/** The ICE servers for the next call. They come with a sign-in and grow old. */

import { fetchIceServers, knownServers, timeToLive } from '../basics/server.js';

/** Credentials are replaced when they have less than this to live. */
const MARGIN_MS = 60_000;

export class IceServers {
  /** @type {RTCIceServer[]} */
  #servers = [];
  #until = 0;
  #token = '';
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
   * Takes what a sign-in's reply brought. One that brought none, because the hub
   * could not mint a credential then, is asked again before a call.
   * @param {import('./signalling.js').Message} reply
   */
  take(reply) {
    this.#token = reply.token ?? '';
    this.#set(knownServers(reply), timeToLive(reply));
  }

  /**
   * Servers that are good for a call now. When fresh ones can't be had, the old
   * ones: without a relay many calls still connect.
   * @returns {Promise<RTCIceServer[]>}
   */
  async current() {
    if (Date.now() > this.#until - MARGIN_MS) {
      try {
        const { iceServers, ttl } = await this.#get(this.#page, this.#token);
        this.#set(iceServers, ttl);
      } catch {
        // Kept: see above.
      }
    }
    return this.#servers;
  }

  /**
   * @param {RTCIceServer[]} servers
   * @param {number} ttl seconds
   */
  #set(servers, ttl) {
    this.#servers = servers;
    this.#until = servers.length > 0 ? Date.now() + ttl * 1000 : 0;
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
