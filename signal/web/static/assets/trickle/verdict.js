/** Explains the outcome of a test in words. No DOM. */

import { counted, listed } from '../basics/format.js';
import { errorWords, mostInformative } from './errors.js';
import { isTurn, sameUri, transportOf } from './uri.js';

/** @typedef {import('./gather.js').CandidateRow} CandidateRow */
/** @typedef {import('./gather.js').ErrorRow} ErrorRow */

/**
 * @typedef {object} Outcome
 * @property {string[]} uris the servers that were tested
 * @property {CandidateRow[]} candidates
 * @property {ErrorRow[]} errors
 * @property {number} time how long the test took, in milliseconds
 * @property {boolean} complete false if some server had not responded yet
 * @property {boolean} relayOnly whether the browser gathered relay candidates only
 */

/**
 * One finding.
 * @typedef {object} Finding
 * @property {'good' | 'bad' | 'unsure'} kind
 * @property {string} uri empty if it is not about one server
 * @property {string} words
 */

/**
 * Sums the outcome up in one line: "3 candidates in 0.4 s; a relay over UDP and TCP works."
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
 * Lists the result of each server, and then what they mean for calls.
 * @param {Outcome} outcome
 * @returns {Finding[]}
 */
export function findings(outcome) {
  const each = outcome.uris.map((uri) => (isTurn(uri) ? turnFinding(uri, outcome) : stunFinding(uri, outcome)));
  return [...each, ...generalFindings(outcome)];
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
    return { kind: 'unsure', uri, words: 'This browser does not show which server a candidate comes from. Test one server at a time.' };
  }
  return failureFinding(uri, outcome) ??
    { kind: 'unsure', uri, words: 'No candidate came from this server, and no error. Browsers block some ports and do not support DTLS.' };
}

/**
 * @param {string} uri
 * @param {Outcome} outcome
 * @returns {Finding}
 */
function stunFinding(uri, outcome) {
  if (outcome.relayOnly) {
    return { kind: 'unsure', uri, words: 'Not tested: with “Relay only” a browser uses no STUN server.' };
  }
  const seen = outcome.candidates.filter(({ type }) => type === 'srflx');
  const candidate = seen.find(({ url }) => sameUri(url, uri));
  if (candidate) return { kind: 'good', uri, words: `STUN works: your public address is ${candidate.address}.` };
  const error = mostInformative(outcome.errors.filter(({ url }) => sameUri(url, uri)));
  if (error) return { kind: 'bad', uri, words: errorWords(error.code, error.text, uri) };
  if (!outcome.complete) {
    return { kind: 'unsure', uri, words: 'This server had not responded when the test ended.' };
  }
  const words = seen.length > 0
    ? 'No error, and no new candidate: another server has shown the same public address.'
    : 'No error, and no new candidate: there is no address translation between you and this server.';
  return { kind: 'unsure', uri, words };
}

/**
 * @param {string} uri
 * @param {Outcome} outcome
 * @returns {Finding | null}
 */
function failureFinding(uri, { errors, complete }) {
  const error = mostInformative(errors.filter(({ url }) => isAbout(url, uri)));
  if (error) return { kind: 'bad', uri, words: errorWords(error.code, error.text, uri) };
  if (complete) return null;
  return {
    kind: 'bad',
    uri,
    words: 'This server has not responded. Check that it is running and that no firewall blocks this port.',
  };
}

/**
 * Reports whether an error's URL is that of a server. For a TURN server over UDP, a browser also sends a STUN request to it, and
 * reports an error of that with a stun: URI.
 * @param {string} url
 * @param {string} uri
 */
function isAbout(url, uri) {
  return sameUri(url, uri) || (/^turn:/i.test(uri) && sameUri(url, uri.replace(/^turn:/i, 'stun:').replace(/\?transport=udp$/i, '')));
}

/**
 * @param {Outcome} outcome
 * @returns {Finding[]}
 */
function generalFindings({ candidates, uris, relayOnly }) {
  const has = (/** @type {string} */ type) => candidates.some((one) => one.type === type);
  /** @type {Finding[]} */
  const found = [];
  if (has('relay')) {
    found.push({ kind: 'good', uri: '', words: 'Calls can use the relay when there is no direct route.' });
  } else if (uris.some(isTurn)) {
    found.push({ kind: 'bad', uri: '', words: 'Without a relay, calls fail for people behind strict routers and firewalls.' });
  } else {
    found.push({ kind: 'unsure', uri: '', words: 'No TURN server was tested. Add one to test a relay.' });
  }
  if (!relayOnly && candidates.length === 0) {
    found.push({ kind: 'bad', uri: '', words: 'The browser found no address at all. It or an extension blocks WebRTC, or there is no network.' });
  }
  if (candidates.some(({ address }) => address.endsWith('.local'))) {
    found.push({ kind: 'unsure', uri: '', words: 'Names that end in .local stand for local addresses that the browser hides.' });
  }
  return found;
}
