/**
 * The classic signalling protocol over one WebSocket: JSON text frames with a
 * type, and a name that says to whom (out) or from whom (in).
 *
 *   login {name}              -> login {success, iceServers?, expires?}
 *   offer {offer, name}       -> to the other side, with our name
 *   answer {answer, name}     -> to the other side
 *   candidate {candidate, name}
 *   leave {name}
 *                             <- error {code, name?, message}
 */

import { fetchIceServers, Refusal } from '../basics/server.js';

/**
 * @typedef {object} Message
 * @property {string} type
 * @property {string} [name]
 * @property {string} [code]
 * @property {string} [message]
 * @property {boolean} [success]
 * @property {string} [token] a bearer for "ice" while this sign-in lasts
 * @property {RTCSessionDescriptionInit & {call?: string}} [offer]
 * @property {RTCSessionDescriptionInit & {call?: string}} [answer]
 * @property {RTCIceCandidateInit & {call?: string}} [candidate]
 */

/**
 * Why a sign-in failed: somebody has the name; it would fail again; no connection;
 * the hub can't do it now.
 */
export class SignInError extends Error {
  /**
   * @param {'taken' | 'refused' | 'unreachable' | 'unavailable'} code
   * @param {string} words
   */
  constructor(code, words) {
    super(words);
    this.code = code;
  }
}

/** How long the hub may take to answer a sign-in; it probes the holder of a taken name. */
const SIGN_IN_TIMEOUT_MS = 10_000;

export class Signalling {
  #socket;
  #hooks;
  /** Set while a sign-in waits for its answer. @type {((end: Message | SignInError) => void) | null} */
  #settle = null;

  /**
   * @param {URL} address
   * @param {{message: (message: Message) => void, lost: () => void}} hooks lost is
   *   called once, when a signed-in connection ends without close()
   * @param {typeof WebSocket} [Socket]
   */
  constructor(address, hooks, Socket = WebSocket) {
    this.#hooks = hooks;
    this.#socket = new Socket(address);
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = () => this.#closed();
  }

  /**
   * Signs in, once for each connection.
   * @param {string} name
   * @returns {Promise<Message>} the hub's reply
   */
  async signIn(name) {
    const end = await new Promise((resolve) => {
      const late = new SignInError('unreachable', 'The server did not answer in time. Try again.');
      const timer = setTimeout(() => resolve(late), SIGN_IN_TIMEOUT_MS);
      this.#settle = (result) => {
        clearTimeout(timer);
        resolve(result);
      };
      const greet = () => this.send({ type: 'login', name });
      if (this.#socket.readyState === 1) greet();
      else this.#socket.onopen = greet;
    });
    this.#settle = null;
    if (end instanceof SignInError) {
      this.close();
      throw end;
    }
    return end;
  }

  /**
   * Sends a message.
   * @param {Message} message
   * @returns {boolean} false when the connection is gone
   */
  send(message) {
    if (this.#socket.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Ends the connection; no hook is called any more. */
  close() {
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close();
  }

  /** @param {unknown} data */
  #receive(data) {
    const message = parse(data);
    if (!message) return;
    if (!this.#settle) {
      this.#hooks.message(message);
    } else if (message.type === 'login' && message.success) {
      this.#settle(message);
    } else if (message.type === 'login') {
      this.#settle(refused(message));
    } else if (message.type === 'error') {
      this.#settle(new SignInError('unavailable', sentence(message.message || 'the server refused the sign-in')));
    }
  }

  #closed() {
    if (this.#settle) {
      this.#settle(new SignInError('unreachable', 'The connection to the server broke off. Try again.'));
    } else {
      this.#hooks.lost();
    }
  }
}

/**
 * A frame as a message, or null: a hub may greet in plain text.
 * @param {unknown} data
 * @returns {Message | null}
 */
export function parse(data) {
  try {
    const value = JSON.parse(String(data));
    return typeof value?.type === 'string' ? value : null;
  } catch {
    return null;
  }
}

/**
 * A login that did not succeed. A hub of the older kind says no more than that,
 * and then the name is taken.
 * @param {Message} reply
 * @returns {SignInError}
 */
function refused({ code = 'name-taken', message = '' }) {
  switch (code) {
    case 'name-taken':
      return new SignInError('taken', 'Someone is signed in with this name already. Choose another one. ' +
        'If it was you, close the other window first.');
    case 'bad-name':
      return new SignInError('refused', 'This name can’t be used. Choose a shorter one, of letters and digits.');
    default:
      return new SignInError('unavailable', sentence(message || 'the server refused the sign-in'));
  }
}

/**
 * A hub's message as a sentence.
 * @param {string} text
 * @returns {string}
 */
export function sentence(text) {
  const [first = '', ...rest] = Array.from(text);
  return first.toUpperCase() + rest.join('') + (/[.!?]$/.test(text) ? '' : '.');
}

/**
 * Finds out why the hub takes no WebSocket, which a browser does not tell a
 * script: asks the same server for ICE servers, which it gives to the same people.
 * @param {string} page the page's own URL
 * @param {typeof fetchIceServers} [ask]
 * @returns {Promise<SignInError>}
 */
export async function explainUnreachable(page, ask = fetchIceServers) {
  try {
    await ask(page);
  } catch (failure) {
    if (failure instanceof Refusal) {
      return new SignInError(failure.passing ? 'unavailable' : 'refused', failure.message);
    }
    return new SignInError('unreachable', failure instanceof Error ? failure.message : String(failure));
  }
  return new SignInError('unreachable',
    'The server answers, but takes no WebSocket connection. A proxy in front of it may not pass these on.');
}
