/** What happened and what to do about it, for people. No DOM. */

/** @typedef {import('../../sdk/icebox.js').IceboxError} IceboxError */

/**
 * Why one could not sign in, or is not signed in any more.
 * @param {{code: string, message: string}} failure
 * @param {boolean} hasKey whether the page's address has a key
 * @returns {string}
 */
export function signInWords({ code, message }, hasKey) {
  switch (code) {
    case 'name-taken':
      return 'Someone is signed in with this name already. Choose another one. If it was you, close the other window first.';
    case 'bad-name':
      return 'This name can’t be used. Choose a shorter one, of letters and digits.';
    case 'token-missing':
      return 'This server wants a key. Open the page with the link you were given; it ends with “?key=…”.';
    case 'token-invalid':
      return hasKey
        ? 'The server does not know the key in this page’s address. Ask whoever runs it for a new link.'
        : 'This server wants a key. Open the page with the link you were given; it ends with “?key=…”.';
    case 'not-allowed':
      return 'The server refused this page: its origin is not allowed.';
    case 'too-many':
      return 'Too many connections from your address. Close other windows, or wait a minute, then try again.';
    case 'unavailable': case 'restarting':
      return 'The server is full or restarting. Try again in a moment.';
    case 'unreachable': case 'lost':
      return 'The server can’t be reached. Check your connection, then try again.';
    default:
      return message;
  }
}

/**
 * Why a call could not be begun.
 * @param {unknown} failure
 * @param {string} name whom we called, empty for a call with a link
 * @returns {string}
 */
export function callWords(failure, name) {
  const code = /** @type {{code?: string} | null} */ (failure)?.code ?? '';
  const message = failure instanceof Error ? failure.message : String(failure);
  if (code.startsWith('media-')) return `${message} Or switch it off under “Options” to call without.`;
  switch (code) {
    case 'peer-offline': return `${name} is not signed in. Check the name, or ask them to open this page.`;
    case 'peer-unsupported': return `${name} can only be called by those who have a name. Sign out, and sign in with one.`;
    case 'no-such-call': return 'This call is over, or the link is not complete. Ask for a new link.';
    case 'call-full': return 'This call is full: as many as may are in it. Ask them to make a call for more people.';
    case 'call-not-allowed': return 'You may not join this call. Ask whoever sent you here to let you in.';
    case 'in-call': return 'You are in this call already, in another window perhaps. Close it there first.';
    case 'call-limit': return 'You are in too many calls, or this server has as many as it allows. Try again in a moment.';
    case 'ended': return 'The call was over before you answered.';
    case 'lost': case 'closed': return 'The connection to the server was lost before the call began. Try again.';
    default: return message;
  }
}

/**
 * How a call ended; empty if it was our doing.
 * @param {{reason: string, by: string}} end
 * @param {{self: string, name: string, ringing: boolean}} call name: whom it was with, if by name
 * @returns {string}
 */
export function endWords({ reason, by }, { self, name, ringing }) {
  const who = by || name || 'The other side';
  switch (reason) {
    case 'hangup': case 'left': return by && by !== self ? `${by} hung up.` : '';
    case 'declined': return `${who} declined.`;
    case 'busy': return `${who} is in another call.`;
    case 'no-answer': return `${who} did not answer.`;
    case 'gone': return ringing ? `${who} went offline.` : `The connection to ${who} broke off.`;
    case 'no-route': return `${noRouteWords(who)}`;
    case 'lost': return 'The server knows nothing of this call any more. Call again.';
    case 'unjoined': return 'Nobody joined the call in time, so it ended.';
    default: return '';
  }
}

/** @param {string} who */
export function noRouteWords(who) {
  return `No way was found to connect you and ${who}. The “Trickle ICE” page shows what your network lets through.`;
}

/**
 * How good a connection is.
 * @param {import('../../sdk/icebox.js').Stats} stats
 * @returns {string}
 */
export function qualityWords({ quality, loss, roundTrip }) {
  if (quality === 'unknown') return '';
  if (quality === 'good') return 'Good connection';
  const delayed = (roundTrip ?? 0) > 0.25;
  const why = (loss ?? 0) > 0.02 ? (delayed ? 'slow, and much gets lost' : 'some of it gets lost') : 'slow to arrive';
  return quality === 'fair' ? `Fair connection: ${why}` : `Poor connection: ${why}`;
}
