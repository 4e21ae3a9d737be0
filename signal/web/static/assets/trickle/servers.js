/** The list of servers to test. No DOM. */

import { isTurn, sameUri } from './uri.js';

/**
 * @typedef {object} Server
 * @property {string} uri
 * @property {string} username
 * @property {string} credential
 */

/**
 * Converts ICE servers to one Server for each URI, so that each URI can be edited, removed and tested separately.
 * @param {RTCIceServer[]} iceServers
 * @returns {Server[]}
 */
export function split(iceServers) {
  return iceServers.flatMap(({ urls, username = '', credential = '' }) =>
    [urls].flat().map((uri) => ({ uri, username, credential })));
}

/**
 * Converts servers to the form that RTCPeerConnection takes.
 * @param {Server[]} servers
 * @returns {RTCIceServer[]}
 */
export function join(servers) {
  return servers.map(({ uri, username, credential }) =>
    (isTurn(uri) ? { urls: [uri], username, credential } : { urls: [uri] }));
}

/**
 * Adds servers to a list. One that the list has already is replaced, because a browser that asks the same server with two
 * passwords does not finish gathering.
 * @param {Server[]} list
 * @param {Server[]} added
 * @returns {Server[]}
 */
export function merge(list, added) {
  const result = [...list];
  for (const server of added) {
    const at = result.findIndex(({ uri }) => sameUri(uri, server.uri));
    if (at < 0) result.push(server);
    else result[at] = server;
  }
  return result;
}

/**
 * Replaces one server of a list. If another entry is the same as the new one, it is removed.
 * @param {Server[]} list
 * @param {number} at
 * @param {Server} server
 * @returns {Server[]}
 */
export function replace(list, at, server) {
  return list
    .map((old, index) => (index === at ? server : old))
    .filter(({ uri }, index) => index === at || !sameUri(uri, server.uri));
}
