/** The protocol over server-sent events and POST, for networks that break WebSockets. */

import { asError, IceboxError, refused } from './errors.js';

/** @typedef {import('./websocket.js').Transport} Transport */
/** @typedef {import('./websocket.js').Sink} Sink */
/** @typedef {import('./websocket.js').Opening} Opening */

/** The server says something every 15 s. */
const SILENCE_MS = 25_000;
const ANSWER_MS = 12_000;
/** What one POST carries at most, unless a single message is longer. */
const BATCH = 60_000;

/**
 * Signs in, if need be, and opens the session's stream.
 * @param {Opening} opening
 * @returns {Promise<{first: any, transport: Transport}>} the first is a welcome, or what resumes; rejects
 *   with the server's refusal, else with unreachable
 */
export async function openEvents({ url, hello, environment }) {
  const get = environment.fetch ?? globalThis.fetch.bind(globalThis);
  let { resume, seq = 0 } = hello;
  /** @type {any} */
  let welcome = null;
  if (!resume) {
    welcome = await post(get, new URL('v1/hello', url), '', JSON.stringify(hello));
    ({ resume } = welcome);
  }
  const transport = new EventTransport(get, url, resume);
  try {
    const resumed = await transport.open(seq);
    return { first: welcome ?? resumed, transport };
  } catch (failure) {
    transport.close(welcome ? '{"type":"bye"}' : undefined); // nobody would ever use that session
    throw failure;
  }
}

/**
 * Sends what shall arrive even if the page is left at once.
 * @param {{url: string, environment: import('./websocket.js').Environment}} server
 * @param {string} secret
 * @param {string[]} texts
 */
export function farewell({ url, environment }, secret, texts) {
  const get = environment.fetch ?? globalThis.fetch.bind(globalThis);
  post(get, new URL('v1/send', url), secret, `[${texts.join()}]`, { keepalive: true, signal: null }).catch(() => {});
}

/**
 * @param {typeof fetch} get
 * @param {URL} address
 * @param {string} secret
 * @param {string} body
 * @param {RequestInit} [more]
 * @returns {Promise<any>}
 */
async function post(get, address, secret, body, more = {}) {
  /** @type {Record<string, string>} */
  const headers = { 'Content-Type': 'application/json' };
  if (secret) headers.Authorization = `Bearer ${secret}`;
  const limit = AbortSignal.timeout(ANSWER_MS);
  const response = await ask(get, address, { method: 'POST', headers, body, signal: limit, cache: 'no-store', ...more });
  return response.json().catch(() => {
    throw new IceboxError('unreachable', 'Something between here and the server answers in its place.');
  });
}

/**
 * @param {typeof fetch} get
 * @param {URL} address
 * @param {RequestInit} request
 * @returns {Promise<Response>} a good one
 */
async function ask(get, address, request) {
  const response = await get(address, request).catch(() => {
    throw new IceboxError('unreachable', 'The server can’t be reached. Check your connection, then try again.');
  });
  if (response.ok) return response;
  const text = await response.text().catch(() => '');
  try {
    const message = JSON.parse(text);
    if (typeof message.code === 'string') throw refused(message);
  } catch (thrown) {
    if (thrown instanceof IceboxError) throw thrown; // else it was no JSON
  }
  throw statusError(response.status, text);
}

/**
 * @param {number} status
 * @param {string} text
 */
function statusError(status, text) {
  /** @type {Record<number, string>} */
  const codes = { 401: 'token-missing', 403: 'not-allowed', 429: 'too-many', 502: 'unreachable', 503: 'unavailable', 504: 'unreachable' };
  return refused({ code: codes[status] ?? 'unreachable', message: text.trim().slice(0, 200) || `HTTP status ${status}` });
}

/** @implements {Transport} */
class EventTransport {
  kind = /** @type {const} */ ('events');
  pings = false;
  #get;
  #url;
  #secret;
  #abort = new AbortController();
  /** @type {Sink | null} */
  #sink = null;
  /** @type {any[]} */
  #waiting = [];
  /** @type {string[]} */
  #outgoing = [];
  #posting = false;
  #over = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silence;
  /** @type {{resolve: (message: any) => void, reject: (failure: unknown) => void} | null} */
  #first = null;

  /**
   * @param {typeof fetch} get
   * @param {string} url
   * @param {string} secret
   */
  constructor(get, url, secret) {
    this.#get = get;
    this.#url = url;
    this.#secret = secret;
  }

  /**
   * @param {number} seq the latest message we have
   * @returns {Promise<any>} the first message
   */
  async open(seq) {
    const headers = { Authorization: `Bearer ${this.#secret}`, 'Last-Event-ID': String(seq), Accept: 'text/event-stream' };
    const late = setTimeout(() => this.#abort.abort(), ANSWER_MS);
    try {
      const response = await ask(this.#get, new URL('v1/events', this.#url), { headers, signal: this.#abort.signal, cache: 'no-store' });
      if (!response.body) throw new IceboxError('unreachable', 'This browser can’t read an answer bit by bit.');
      const first = new Promise((resolve, reject) => (this.#first = { resolve, reject }));
      void this.#read(response.body);
      const message = await first;
      if (message.type === 'error') throw refused(message);
      return message;
    } finally {
      clearTimeout(late);
    }
  }

  /** @param {Sink} sink */
  start(sink) {
    this.#sink = sink;
    for (const message of this.#waiting.splice(0)) sink.message(message);
    if (this.#over) sink.lost();
  }

  /** @param {string[]} texts */
  send(texts) {
    this.#outgoing.push(...texts);
    if (!this.#posting) void this.#post();
  }

  /** @param {string} [last] */
  close(last) {
    this.#sink = null;
    this.#over = true;
    clearTimeout(this.#silence);
    if (last !== undefined) farewell({ url: this.#url, environment: { fetch: this.#get } }, this.#secret, [last]);
    this.#abort.abort();
  }

  /** One POST at a time: messages must not overtake each other. */
  async #post() {
    this.#posting = true;
    while (this.#outgoing.length > 0 && !this.#over) {
      const batch = this.#outgoing.splice(0, 1);
      for (let size = batch[0].length; this.#outgoing.length > 0 && size + this.#outgoing[0].length < BATCH;) {
        size += this.#outgoing[0].length;
        batch.push(...this.#outgoing.splice(0, 1));
      }
      try {
        const ack = await post(this.#get, new URL('v1/send', this.#url), this.#secret, `[${batch.join()}]`);
        this.#sink?.message(ack);
      } catch {
        this.#lose(); // what is numbered is sent again
      }
    }
    this.#posting = false;
  }

  /** @param {ReadableStream<Uint8Array>} body */
  async #read(body) {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let rest = '';
    try {
      for (;;) {
        this.#await();
        const { done, value } = await reader.read();
        if (done) break;
        this.#sink?.alive();
        const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (line.startsWith('data:')) this.#receive(JSON.parse(line.slice(5)));
      }
      this.#first?.reject(new IceboxError('unreachable', 'The server ended its answer.'));
    } catch (thrown) {
      this.#first?.reject(asError(thrown, 'unreachable'));
    }
    this.#lose();
  }

  #await() {
    clearTimeout(this.#silence);
    if (!this.#over) this.#silence = setTimeout(() => this.#lose(), SILENCE_MS);
  }

  /** @param {any} message */
  #receive(message) {
    if (this.#first) {
      this.#first.resolve(message);
      this.#first = null;
    } else if (this.#sink) {
      this.#sink.message(message);
    } else {
      this.#waiting.push(message);
    }
  }

  #lose() {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#silence);
    this.#abort.abort();
    this.#sink?.lost();
  }
}
