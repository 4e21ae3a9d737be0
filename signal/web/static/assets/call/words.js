/** Explains errors and events to the user, and what to do about them. No DOM. */

/** @typedef {import('../../sdk/icebox.js').IceboxError} IceboxError */

const KEY_REQUIRED = 'This server requires a key. Open the page with the link you were given, which ends with “?key=…”.';

/**
 * Explains why the user could not sign in, or is not signed in any more.
 * @param {{code: string, message: string}} failure
 * @param {boolean} hasKey whether the page's address has a key
 * @returns {string}
 */
export function signInWords({ code, message }, hasKey) {
  switch (code) {
    case 'name-taken':
      return 'Someone is already signed in with this name. Choose another name, or close the other window if that is you.';
    case 'bad-name':
      return 'This name can’t be used. Choose a shorter one with letters and digits only.';
    case 'token-missing':
      return KEY_REQUIRED;
    case 'token-invalid':
      return hasKey
        ? 'The key in this page’s address is not valid. Ask the owner of this server for a new link.'
        : KEY_REQUIRED;
    case 'not-allowed':
      return 'This server does not accept pages from this origin. Ask its owner to allow it.';
    case 'too-many':
      return 'There are too many connections from your address. Close other windows, or wait a minute, then try again.';
    case 'unavailable': case 'restarting':
      return 'The server is full or restarting. Try again in a moment.';
    case 'unreachable': case 'lost':
      return 'The server can’t be reached. Check your connection, then try again.';
    default:
      return message;
  }
}

/**
 * Explains why a call could not start.
 * @param {unknown} failure
 * @param {string} name the name that was called; empty for a call with a link
 * @returns {string}
 */
export function callWords(failure, name) {
  const code = /** @type {{code?: string} | null} */ (failure)?.code ?? '';
  const message = failure instanceof Error ? failure.message : String(failure);
  if (code.startsWith('media-')) return `${message} Or open “Options” to call without it.`;
  switch (code) {
    case 'peer-offline': return `${name} is not signed in. Check the name, or ask them to open this page.`;
    case 'peer-unsupported': return `${name} can only be called by someone with a name. Sign out, then sign in with a name.`;
    case 'no-such-call': return 'This call has ended, or the link is incomplete. Ask for a new link.';
    case 'call-full': return 'This call is full. Ask the others to create a call for more people.';
    case 'call-not-allowed': return 'You are not allowed to join this call. Ask the person who invited you to let you in.';
    case 'in-call': return 'You are already in this call, perhaps in another window. Close it there first.';
    case 'call-limit': return 'You are in too many calls, or there are too many on this server. Try again in a moment.';
    case 'ended': return 'The call ended before you answered.';
    case 'lost': case 'closed': return 'The connection to the server was lost before the call started. Try again.';
    default: return message;
  }
}

/**
 * Explains how a call ended. Empty if the user ended it.
 * @param {{reason: string, by: string}} end
 * @param {{self: string, name: string, ringing: boolean}} call name: the other side's, for a call by name
 * @returns {string}
 */
export function endWords({ reason, by }, { self, name, ringing }) {
  const other = by || name || 'The other side';
  switch (reason) {
    case 'hangup': case 'left': return by && by !== self ? `${by} hung up.` : '';
    case 'declined': return `${other} declined.`;
    case 'busy': return `${other} is in another call.`;
    case 'no-answer': return `${other} did not answer.`;
    case 'gone': return ringing ? `${other} went offline.` : `The connection to ${other} was lost.`;
    case 'no-route': return noRouteWords(other);
    case 'lost': return 'The server no longer knows this call. Call again.';
    case 'unjoined': return 'Nobody joined the call in time, so it ended.';
    default: return '';
  }
}

/** @param {string} other */
export function noRouteWords(other) {
  return `You and ${other} could not be connected. Open the “Trickle ICE” page to see what your network blocks.`;
}

/**
 * Explains the quality of a connection.
 * @param {import('../../sdk/icebox.js').Stats} stats
 * @returns {string}
 */
export function qualityWords({ quality, loss, roundTrip }) {
  if (quality === 'unknown') return '';
  if (quality === 'good') return 'Good connection';
  const delayed = (roundTrip ?? 0) > 0.25;
  const why = (loss ?? 0) > 0.02 ? (delayed ? 'delayed, and packets are lost' : 'packets are lost') : 'delayed';
  return quality === 'fair' ? `Fair connection: ${why}` : `Poor connection: ${why}`;
}
