/** What a gathering's outcome means, in words. No DOM. */

import { counted, listed } from '../basics/format.js';
import { errorWords, mostTelling } from './errors.js';
import { isTurn, sameUri, transportOf } from './uri.js';

/** @typedef {import('./gather.js').CandidateRow} CandidateRow */
/** @typedef {import('./gather.js').ErrorRow} ErrorRow */

/**
 * @typedef {object} Outcome
 * @property {string[]} uris the servers asked
 * @property {CandidateRow[]} candidates
 * @property {ErrorRow[]} errors
 * @property {number} time milliseconds it took
 * @property {boolean} complete false when some server had not answered yet
 * @property {boolean} relayOnly
 */

/**
 * One finding.
 * @typedef {object} Finding
 * @property {'good' | 'bad' | 'unsure'} kind
 * @property {string} uri empty when it is about no server
 * @property {string} words
 */

/**
 * The whole in one line: "3 candidates in 0.4 s; a relay over UDP and TCP works".
 * @param {Outcome} outcome
 * @returns {string}
 */
export function summary({ candidates, uris, time }) {
  const head = `${counted(candidates.length, 'candidate')} in ${(time / 1000).toFixed(1)} s`;
  const relays = relayProtocols(candidates);
  if (relays.length > 0) return `${head}; a relay over ${listed(relays)} works.`;
  if (candidates.some(({ type }) => type === 'relay')) return `${head}; a relay works.`;
  if (uris.some(isTurn)) return `${head}; no relay works.`;
  if (candidates.some(({ type }) => type === 'srflx')) return `${head}; STUN works.`;
  return `${head}.`;
}

/** @param {CandidateRow[]} candidates */
function relayProtocols(candidates) {
  const found = new Set(candidates.map(({ relayProtocol }) => relayProtocol));
  return ['UDP', 'TCP', 'TLS', 'DTLS'].filter((protocol) => found.has(protocol));
}

/**
 * What each server did, then what it means for calls.
 * @param {Outcome} outcome
 * @returns {Finding[]}
 */
export function findings(outcome) {
  const each = outcome.uris.map((uri) => (isTurn(uri) ? turnFinding(uri, outcome) : stunFinding(uri, outcome)));
  return [...each, ...general(outcome)];
}

/**
 * @param {string} uri
 * @param {Outcome} outcome
 * @returns {Finding}
 */
function turnFinding(uri, outcome) {
  const relay = outcome.candidates.find(({ type, url }) => type === 'relay' && sameUri(url, uri));
  if (relay) {
    const words = `Relay over ${transportOf(uri)} works, after ${Math.round(relay.time)} ms.`;
    return { kind: 'good', uri, words };
  }
  if (outcome.candidates.some(({ type, url }) => type === 'relay' && !url)) {
    return { kind: 'unsure', uri, words: 'This browser does not say which server a candidate comes from. Test one at a time.' };
  }
  return failure(uri, outcome) ??
    { kind: 'unsure', uri, words: 'No candidate came from it, and no error. Perhaps the browser did not ask it: browsers refuse some ports, and DTLS.' };
}

/**
 * @param {string} uri
 * @param {Outcome} outcome
 * @returns {Finding}
 */
function stunFinding(uri, outcome) {
  if (outcome.relayOnly) {
    return { kind: 'unsure', uri, words: 'Not asked: with “relay only” a browser uses no STUN server.' };
  }
  const seen = outcome.candidates.filter(({ type }) => type === 'srflx');
  const own = seen.find(({ url }) => sameUri(url, uri));
  if (own) return { kind: 'good', uri, words: `STUN works: your public address is ${own.address}.` };
  const error = mostTelling(outcome.errors.filter(({ url }) => sameUri(url, uri)));
  if (error) return { kind: 'bad', uri, words: errorWords(error.code, error.text, uri) };
  if (!outcome.complete) {
    return { kind: 'unsure', uri, words: 'No answer of its own was seen. The test ended before all had answered.' };
  }
  const words = seen.length > 0
    ? 'No candidate of its own: another server showed the same public address.'
    : 'No error, and no other address than your own: there is no address translation between you and the server.';
  return { kind: 'unsure', uri, words };
}

/**
 * @param {string} uri
 * @param {Outcome} outcome
 * @returns {Finding | null}
 */
function failure(uri, { errors, complete }) {
  const error = mostTelling(errors.filter(({ url }) => concerns(url, uri)));
  if (error) return { kind: 'bad', uri, words: errorWords(error.code, error.text, uri) };
  if (complete) return null;
  return {
    kind: 'bad',
    uri,
    words: 'It has not answered. Is it running, and does a firewall let this port through?',
  };
}

/**
 * Whether an error's URL is that of a server. A browser asks a TURN server over
 * UDP by STUN, too, and reports that with a stun: URI.
 * @param {string} url
 * @param {string} uri
 */
function concerns(url, uri) {
  return sameUri(url, uri) || (/^turn:/i.test(uri) && sameUri(url, uri.replace(/^turn:/i, 'stun:').replace(/\?transport=udp$/i, '')));
}

/**
 * @param {Outcome} outcome
 * @returns {Finding[]}
 */
function general({ candidates, uris, relayOnly }) {
  const has = (/** @type {string} */ type) => candidates.some((one) => one.type === type);
  /** @type {Finding[]} */
  const found = [];
  if (has('relay')) {
    found.push({ kind: 'good', uri: '', words: 'Calls can go through the relay where no direct way exists.' });
  } else if (uris.some(isTurn)) {
    found.push({ kind: 'bad', uri: '', words: 'Without a relay, calls fail for people behind strict routers and firewalls.' });
  } else {
    found.push({ kind: 'unsure', uri: '', words: 'No TURN server was asked, so nothing is known about a relay.' });
  }
  if (!relayOnly && candidates.length === 0) {
    found.push({ kind: 'bad', uri: '', words: 'Not even an own address: the browser or an extension forbids WebRTC, or there is no network.' });
  }
  if (candidates.some(({ address }) => address.endsWith('.local'))) {
    found.push({ kind: 'unsure', uri: '', words: 'Names that end in .local stand for own addresses that the browser hides.' });
  }
  return found;
}
