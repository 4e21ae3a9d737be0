/** Explains the codes of icecandidateerror events, and what to do about them. No DOM. */

/** @type {Record<number, string>} The codes of RFC 8489, RFC 8656 and WebRTC (701). */
const WORDS = {
  300: 'The server redirects to another server (300). Test that one instead.',
  400: 'The server could not read the request (400). Check that it is a TURN server.',
  401: 'Wrong username or password (401). Time-limited credentials may have expired.',
  403: 'The server forbids this request (403).',
  420: 'The server does not support a feature that the browser requires (420).',
  437: 'The server still has an earlier session from this address (437). Try again.',
  438: 'The server’s nonce has expired (438). Try again.',
  440: 'The server has no relay address of the requested family, IPv4 or IPv6 (440).',
  441: 'The session was created with another username (441).',
  442: 'The server does not relay over this protocol (442).',
  443: 'The session is for IPv4, and the other side has IPv6, or the reverse (443).',
  446: 'The relay already has a connection to the other side (446).',
  447: 'The relay could not connect to the other side (447).',
  486: 'There are too many sessions for this user or address (486). Close some, or raise the limit.',
  500: 'The server had an internal error (500). Its log has the reason.',
  508: 'The server has no free relay address or port (508).',
};

/**
 * @param {number} code
 * @param {string} text the browser's message
 * @param {string} url the server's URI
 * @returns {string}
 */
export function errorWords(code, text, url) {
  if (code === 701) return unreachableWords(text, url);
  return WORDS[code] ?? `The server refused with error ${code}${text ? ` (${text})` : ''}.`;
}

/**
 * Explains code 701. Browsers use it for everything that ends without a response from the server.
 * @param {string} text
 * @param {string} url
 * @returns {string}
 */
function unreachableWords(text, url) {
  if (/lookup|resolv|hostname|\bdns\b/i.test(text)) {
    return 'The server’s name was not found (701). Check its spelling and its DNS records.';
  }
  if (/address.*incompatible|family/i.test(text)) {
    return 'The server has no address of this family, IPv4 or IPv6 (701). Ignore this if another attempt works.';
  }
  if (/^turns:/i.test(url)) {
    return 'The server can’t be reached (701). Check that the port is open and that the certificate is valid for this name.';
  }
  return 'The server can’t be reached (701). Check that it is running and that no firewall blocks this port.';
}

/**
 * Returns the most informative of several errors: one with which the server responded, if there is one.
 * @template {{code: number}} T
 * @param {T[]} errors
 * @returns {T | undefined}
 */
export function mostInformative(errors) {
  return errors.find(({ code }) => code !== 701) ?? errors[0];
}
