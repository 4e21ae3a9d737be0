/** What an icecandidateerror's code means, and what to do about it. No DOM. */

/** @type {Record<number, string>} The codes of RFC 8489, RFC 8656 and WebRTC (701). */
const WORDS = {
  300: 'The server sends you to another one (300).',
  400: 'The server does not understand the request (400). Is it a TURN server?',
  401: 'Wrong username or password (401). A time-limited one may have run out.',
  403: 'The server forbids this (403).',
  420: 'The server lacks a feature that the browser asks for (420).',
  437: 'The server confuses this with an earlier session (437). Try again.',
  438: 'The server wants a newer nonce (438). Try again.',
  440: 'The server has no relay address of this kind, IPv4 or IPv6 (440).',
  441: 'This session belongs to another username (441).',
  442: 'The server does not relay over this protocol (442).',
  443: 'IPv4 and IPv6 do not mix in this session (443).',
  446: 'There is such a connection already (446).',
  447: 'The relay could not connect to the other side (447).',
  486: 'Too many sessions for this user or address (486). Close some, or raise the limit.',
  500: 'The server failed (500). Its log says why.',
  508: 'The server has no free relay address or port (508).',
};

/**
 * @param {number} code
 * @param {string} text the browser's own words
 * @param {string} url the server's URI
 * @returns {string}
 */
export function errorWords(code, text, url) {
  if (code === 701) return unreachableWords(text, url);
  return WORDS[code] ?? `The server refused with error ${code}${text ? ` (${text})` : ''}.`;
}

/**
 * 701 is the browser's, for everything that ends without an answer.
 * @param {string} text
 * @param {string} url
 * @returns {string}
 */
function unreachableWords(text, url) {
  if (/lookup|resolv|hostname|\bdns\b/i.test(text)) {
    return 'The server’s name was not found (701). Is it spelt right, and does it have an address of this kind?';
  }
  if (/address.*incompatible|family/i.test(text)) {
    return 'The server has no address of this kind, IPv4 or IPv6 (701). This matters only if no other one works.';
  }
  if (/^turns:/i.test(url)) {
    return 'The server can’t be reached (701). Is the port open, and is the certificate valid for this name?';
  }
  return 'The server can’t be reached (701). Is it running, and does a firewall let this port through?';
}

/**
 * Of several errors the one that says most: an answer says more than none.
 * @template {{code: number}} T
 * @param {T[]} errors
 * @returns {T | undefined}
 */
export function mostTelling(errors) {
  return errors.find(({ code }) => code !== 701) ?? errors[0];
}
