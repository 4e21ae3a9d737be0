/** Parses STUN and TURN URIs (RFC 7064, RFC 7065), and explains errors in them. No DOM. */

/**
 * @typedef {object} ServerUri
 * @property {'stun' | 'stuns' | 'turn' | 'turns'} scheme
 * @property {string} host lower case, IPv6 in brackets
 * @property {number} port
 * @property {'udp' | 'tcp'} transport
 */

const SYNTAX = /^(stuns?|turns?):(\[[0-9a-f:.]+\]|[^[\]:/?#@\s]+)(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?$/i;

/**
 * Parses a URI. It fills in the default port and transport, so that two spellings of the same URI give the same result.
 * @param {string} text
 * @returns {ServerUri | null}
 */
export function parseUri(text) {
  const match = SYNTAX.exec(text.trim());
  if (!match) return null;
  const scheme = /** @type {ServerUri['scheme']} */ (match[1].toLowerCase());
  const secure = scheme.endsWith('s');
  const port = match[3] === undefined ? (secure ? 5349 : 3478) : Number(match[3]);
  if (port < 1 || port > 65535) return null;
  if (match[4] !== undefined && scheme.startsWith('stun')) return null;
  const transport = /** @type {'udp' | 'tcp'} */ (match[4]?.toLowerCase() ?? (secure ? 'tcp' : 'udp'));
  return { scheme, host: match[2].toLowerCase(), port, transport };
}

/**
 * Reports whether two texts name the same server over the same transport.
 * @param {string} one
 * @param {string} other
 */
export function sameUri(one, other) {
  const a = parseUri(one);
  const b = parseUri(other);
  if (!a || !b) return one === other;
  return a.scheme === b.scheme && a.host === b.host && a.port === b.port && a.transport === b.transport;
}

/** @param {string} text */
export function isTurn(text) {
  return /^turns?:/i.test(text.trim());
}

/**
 * How a client reaches the server: "UDP", "TCP", "TLS" or "DTLS".
 * @param {string} text
 * @returns {string} empty if the text is not a valid URI
 */
export function transportOf(text) {
  const uri = parseUri(text);
  if (!uri) return '';
  if (!uri.scheme.endsWith('s')) return uri.transport.toUpperCase();
  return uri.transport === 'tcp' ? 'TLS' : 'DTLS';
}

/**
 * Checks a server that the user has typed in, and returns the first wrong field with an explanation, or null.
 * @param {{uri: string, username: string, credential: string}} server
 * @returns {{field: 'uri' | 'username' | 'credential', words: string} | null}
 */
export function serverProblem({ uri, username, credential }) {
  const words = uriProblem(uri.trim());
  if (words) return { field: 'uri', words };
  if (!isTurn(uri)) return null;
  if (!username) return { field: 'username', words: 'Enter the username and the password of the TURN server.' };
  if (!credential) return { field: 'credential', words: 'Enter the password of the TURN server.' };
  return null;
}

/**
 * @param {string} text
 * @returns {string}
 */
function uriProblem(text) {
  if (!text) return 'Enter a URI, such as turn:example.org:3478?transport=udp.';
  if (parseUri(text)) return '';
  if (!/^(stun|turn)s?:/i.test(text)) return 'A URI begins with stun:, stuns:, turn: or turns:.';
  if (text.includes('//')) return 'No slashes: write turn:example.org, not turn://example.org.';
  if (/^stuns?:.*\?/i.test(text)) return 'A stun: URI has nothing after the port. Remove “?…”.';
  if (/\?(?!transport=(udp|tcp)$)/i.test(text)) return 'After “?” only transport=udp or transport=tcp can follow.';
  if (/:[0-9a-f]*:[0-9a-f:]*$/i.test(text) && !text.includes('[')) return 'Put an IPv6 address in brackets: turn:[2001:db8::1]:3478.';
  return 'This is not a valid URI. Example: turn:example.org:3478?transport=tcp.';
}
