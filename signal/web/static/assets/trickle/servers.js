/** The list of servers to ask. No DOM. */

import { isTurn } from './uri.js';

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
 * Adds servers to a list; one with the same URI is replaced in its place.
 * @param {Server[]} list
 * @param {Server[]} added
 * @returns {Server[]}
 */
export function merge(list, added) {
  const result = [...list];
  for (const server of added) {
    const at = result.findIndex(({ uri }) => uri === server.uri);
    if (at < 0) result.push(server);
    else result[at] = server;
  }
  return result;
}
