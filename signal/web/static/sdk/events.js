/** The protocol over server-sent events and POST, for networks that break WebSockets. */

import { asError, IceboxError, refusalError } from './errors.js';

/** @typedef {import('./websocket.js').Transport} Transport */
/** @typedef {import('./websocket.js').Handlers} Handlers */
/** @typedef {import('./websocket.js').Opening} Opening */

/** The server sends at least a comment every 15 s. If no data arrives for this long, the stream counts as lost. */
const SILENCE_MS = 25_000;
const REPLY_MS = 12_000;
/** The most characters in one POST, unless a single message is longer. */
const MAX_BATCH = 60_000;

/**
 * Opens the event stream of the session that hello resumes. For any other hello it first signs in with POST /v1/hello.
 * @param {Opening} opening
 * @returns {Promise<{first: any, transport: Transport}>} first is the message welcome or resumed. It rejects with the server's
 *   refusal, or with the code unreachable
 */
export async function openEvents({ url, hello, environment }) {
  const fetchFn = environment.fetch ?? globalThis.fetch.bind(globalThis);
  let { resume, seq = 0 } = hello;
  /** @type {any} */
  let welcome = null;
  if (!resume) {
    welcome = await post(fetchFn, new URL('v1/hello', url), '', JSON.stringify(hello));
    ({ resume } = welcome);
  }
  const transport = new EventTransport(fetchFn, url, resume);
  try {
    const resumed = await transport.open(seq);
    return { first: welcome ?? resumed, transport };
  } catch (failure) {
    transport.close(welcome ? '{"type":"bye"}' : undefined); // ends the new session, because nothing will use it
    throw failure;
  }
}

/**
 * Sends messages that arrive even if the user leaves the page right after this call. A WebSocket does not guarantee that.
 * @param {{url: string, environment: import('./websocket.js').Environment}} server
 * @param {string} secret
 * @param {string[]} texts
 */
export function sendKeepalive({ url, environment }, secret, texts) {
  const fetchFn = environment.fetch ?? globalThis.fetch.bind(globalThis);
  post(fetchFn, new URL('v1/send', url), secret, `[${texts.join()}]`, { keepalive: true, signal: null }).catch(() => {});
}

/**
 * @param {typeof fetch} fetchFn
 * @param {URL} address
 * @param {string} secret
 * @param {string} body
 * @param {RequestInit} [more]
 * @returns {Promise<any>}
 */
async function post(fetchFn, address, secret, body, more = {}) {
  /** @type {Record<string, string>} */
  const headers = { 'Content-Type': 'application/json' };
  if (secret) headers.Authorization = `Bearer ${secret}`;
  const limit = AbortSignal.timeout(REPLY_MS);
  const response = await fetchOK(fetchFn, address, { method: 'POST', headers, body, signal: limit, cache: 'no-store', ...more });
  return response.json().catch(() => {
    throw new IceboxError('unreachable', 'The response is not from icebox: another program, such as a proxy, answers at this address.');
  });
}

/**
 * @param {typeof fetch} fetchFn
 * @param {URL} address
 * @param {RequestInit} request
 * @returns {Promise<Response>} a response whose status is 200 to 299; otherwise it rejects
 */
async function fetchOK(fetchFn, address, request) {
  const response = await fetchFn(address, request).catch(() => {
    throw new IceboxError('unreachable', 'The server can’t be reached. Check your connection, then try again.');
  });
  if (response.ok) return response;
  const text = await response.text().catch(() => '');
  try {
    const message = JSON.parse(text);
    if (typeof message.code === 'string') throw refusalError(message);
  } catch (thrown) {
    if (thrown instanceof IceboxError) throw thrown; // any other error means that the text is not JSON
  }
  throw statusError(response.status, text);
}

/**
 * The error for a response that is not a JSON error message.
 * @param {number} status
 * @param {string} text
 */
function statusError(status, text) {
  /** @type {Record<number, string>} */
  const codes = { 401: 'token-missing', 403: 'not-allowed', 429: 'too-many', 502: 'unreachable', 503: 'unavailable', 504: 'unreachable' };
  return refusalError({ code: codes[status] ?? 'unreachable', message: text.trim().slice(0, 200) || `HTTP status ${status}` });
}

/** @implements {Transport} */
class EventTransport {
  kind = /** @type {const} */ ('events');
  pings = false;
  #fetch;
  #url;
  #secret;
  #abort = new AbortController();
  /** @type {Handlers | null} */
  #handlers = null;
  /** @type {any[]} */
  #buffered = [];
  /** @type {string[]} */
  #outgoing = [];
  #isPosting = false;
  #closed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silenceTimer;
  /** @type {{resolve: (message: any) => void, reject: (failure: unknown) => void} | null} */
  #firstMessage = null;

  /**
   * @param {typeof fetch} fetchFn
   * @param {string} url
   * @param {string} secret
   */
  constructor(fetchFn, url, secret) {
    this.#fetch = fetchFn;
    this.#url = url;
    this.#secret = secret;
  }

  /**
   * Opens the stream.
   * @param {number} seq the highest number that was received
   * @returns {Promise<any>} the first message
   */
  async open(seq) {
    const headers = { Authorization: `Bearer ${this.#secret}`, 'Last-Event-ID': String(seq), Accept: 'text/event-stream' };
    const late = setTimeout(() => this.#abort.abort(), REPLY_MS);
    try {
      const response = await fetchOK(this.#fetch, new URL('v1/events', this.#url), { headers, signal: this.#abort.signal, cache: 'no-store' });
      if (!response.body) throw new IceboxError('unreachable', 'This browser can’t read a response while it arrives.');
      const first = new Promise((resolve, reject) => (this.#firstMessage = { resolve, reject }));
      void this.#read(response.body);
      const message = await first;
      if (message.type === 'error') throw refusalError(message);
      return message;
    } finally {
      clearTimeout(late);
    }
  }

  /** @param {Handlers} handlers */
  start(handlers) {
    this.#handlers = handlers;
    for (const message of this.#buffered.splice(0)) handlers.message(message);
    if (this.#closed) handlers.lost();
  }

  /** @param {string[]} texts */
  send(texts) {
    this.#outgoing.push(...texts);
    if (!this.#isPosting) void this.#flush();
  }

  /** @param {string} [finalText] */
  close(finalText) {
    this.#handlers = null;
    this.#closed = true;
    clearTimeout(this.#silenceTimer);
    if (finalText !== undefined) sendKeepalive({ url: this.#url, environment: { fetch: this.#fetch } }, this.#secret, [finalText]);
    this.#abort.abort();
  }

  /** Sends the outgoing messages, one POST at a time, because messages in parallel requests could overtake each other. */
  async #flush() {
    this.#isPosting = true;
    while (this.#outgoing.length > 0 && !this.#closed) {
      const batch = this.#outgoing.splice(0, 1);
      for (let size = batch[0].length; this.#outgoing.length > 0 && size + this.#outgoing[0].length < MAX_BATCH;) {
        size += this.#outgoing[0].length;
        batch.push(...this.#outgoing.splice(0, 1));
      }
      try {
        const ack = await post(this.#fetch, new URL('v1/send', this.#url), this.#secret, `[${batch.join()}]`);
        this.#handlers?.message(ack);
      } catch {
        this.#onLost(); // numbered messages are sent again on the next connection
      }
    }
    this.#isPosting = false;
  }

  /** @param {ReadableStream<Uint8Array>} body */
  async #read(body) {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let rest = '';
    try {
      for (;;) {
        this.#restartSilenceTimer();
        const { done, value } = await reader.read();
        if (done) break;
        this.#handlers?.alive();
        const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (line.startsWith('data:')) this.#receive(JSON.parse(line.slice(5)));
      }
      this.#firstMessage?.reject(new IceboxError('unreachable', 'The server closed the event stream.'));
    } catch (thrown) {
      this.#firstMessage?.reject(asError(thrown, 'unreachable'));
    }
    this.#onLost();
  }

  #restartSilenceTimer() {
    clearTimeout(this.#silenceTimer);
    if (!this.#closed) this.#silenceTimer = setTimeout(() => this.#onLost(), SILENCE_MS);
  }

  /** @param {any} message */
  #receive(message) {
    if (this.#firstMessage) {
      this.#firstMessage.resolve(message);
      this.#firstMessage = null;
    } else if (this.#handlers) {
      this.#handlers.message(message);
    } else {
      this.#buffered.push(message);
    }
  }

  #onLost() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#silenceTimer);
    this.#abort.abort();
    this.#handlers?.lost();
  }
}
