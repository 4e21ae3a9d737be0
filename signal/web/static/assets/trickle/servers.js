/** The list of servers to ask. No DOM. */

import { isTurn, sameUri } from './uri.js';

/**
 * @typedef {object} Server
 * @property {string} uri
 * @property {string} username
 * @property {string} credential
 */

/**
 * One Server for each URI of a list of ICE servers, so that each can be edited,
 * removed and judged by itself.
 * @param {RTCIceServer[]} iceServers
 * @returns {Server[]}
 */
export function split(iceServers) {
  return iceServers.flatMap(({ urls, username = '', credential = '' }) =>
    [urls].flat().map((uri) => ({ uri, username, credential })));
}

/**
 * The servers as RTCPeerConnection takes them.
 * @param {Server[]} servers
 * @returns {RTCIceServer[]}
 */
export function join(servers) {
  return servers.map(({ uri, username, credential }) =>
    (isTurn(uri) ? { urls: [uri], username, credential } : { urls: [uri] }));
}

/**
 * Adds servers to a list. One that is there already is replaced in its place:
 * asked twice with two passwords, a browser would never be done.
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
 * Changes one server of a list; another one that is the same then goes.
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
