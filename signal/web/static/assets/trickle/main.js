/** The trickle-ICE page: joins its parts. What they do is in their own modules. */

import { byId, byKind, setMessage, setText } from '../basics/dom.js';
import { fetchIceServers } from '../basics/server.js';
import { openMedia } from '../../sdk/media.js';
import { Gathering } from './gather.js';
import { join, merge, replace, split } from './servers.js';
import { serverProblem } from './uri.js';
import { findings, summary } from './verdict.js';
import { addCandidate, addError, clearRows, showOutcome, showServers } from './view.js';

/** @typedef {import('./servers.js').Server} Server */

const main = byId('main');
const fields = {
  uri: byKind('uri', HTMLInputElement),
  username: byKind('username', HTMLInputElement),
  credential: byKind('credential', HTMLInputElement),
};
const own = byKind('own', HTMLButtonElement);
const gather = byKind('gather', HTMLButtonElement);
const pool = byKind('pool', HTMLInputElement);

/** @type {Server[]} */
let servers = [];
/** The place in the list of the server in the form, or null when it is a new one. @type {number | null} */
let editing = null;
/** @type {Gathering | null} */
let gathering = null;

/** @param {Server[]} list */
function setServers(list) {
  servers = list;
  showServers(servers, { edit, remove });
}

/** @param {number} at */
function edit(at) {
  editing = at;
  for (const [name, input] of Object.entries(fields)) input.value = servers[at][/** @type {keyof Server} */ (name)];
  showForm();
  fields.uri.focus();
}

/** @param {number} at */
function remove(at) {
  if (editing !== null) clearForm();
  setServers(servers.filter((_, index) => index !== at));
  const left = byId('servers').querySelectorAll('li');
  const next = left[Math.min(at, left.length - 1)]?.querySelectorAll('button')[1];
  (next ?? fields.uri).focus(); // what had the focus is gone
}

function clearForm() {
  editing = null;
  for (const input of Object.values(fields)) input.value = '';
  showForm();
}

function showForm() {
  setText(byId('server-form-title'), editing === null ? 'Add a server' : 'Change the server');
  setText(byId('save'), editing === null ? 'Add server' : 'Save');
  byId('cancel-edit').hidden = editing === null;
  showProblem(null);
}

/** @param {ReturnType<typeof serverProblem>} problem */
function showProblem(problem) {
  setMessage(byId('server-problem'), problem?.words ?? '');
  for (const [name, input] of Object.entries(fields)) input.setAttribute('aria-invalid', String(problem?.field === name));
  if (problem) fields[problem.field].focus();
}

byId('server-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const server = {
    uri: fields.uri.value.trim(), username: fields.username.value.trim(), credential: fields.credential.value.trim(),
  };
  const problem = serverProblem(server);
  if (problem) return showProblem(problem);
  setServers(editing === null ? merge(servers, [server]) : replace(servers, editing, server));
  clearForm();
  fields.uri.focus();
});

byId('cancel-edit').addEventListener('click', () => {
  clearForm();
  fields.uri.focus();
});

own.addEventListener('click', async () => {
  own.disabled = true;
  setMessage(byId('own-problem'), '');
  try {
    const { iceServers } = await fetchIceServers(location.href);
    if (editing !== null) clearForm();
    setServers(merge(servers, split(iceServers)));
    if (iceServers.length === 0) setMessage(byId('own-problem'), 'The server offers no STUN or TURN.');
  } catch (failure) {
    setMessage(byId('own-problem'), failure instanceof Error ? failure.message : String(failure));
  } finally {
    own.disabled = false;
    own.focus();
  }
});

gather.addEventListener('click', async () => {
  if (gathering) return;
  setMessage(byId('gather-problem'), '');
  const size = Number(pool.value);
  if (!Number.isInteger(size) || size < 0 || size > 10) {
    setMessage(byId('gather-problem'), 'The pool size is a whole number from 0 to 10.');
    return pool.focus();
  }
  setRunning(true);
  const release = await showLocalAddresses();
  try {
    await run(size);
  } catch (failure) {
    const words = failure instanceof Error ? failure.message : String(failure);
    setMessage(byId('gather-problem'), `The browser refuses these servers: ${words}`);
  } finally {
    release();
    gathering = null;
    setRunning(false);
  }
});

byId('stop').addEventListener('click', () => gathering?.stop());

/**
 * One gathering, from start to end.
 * @param {number} poolSize
 * @returns {Promise<void>} rejects when the browser refuses the configuration
 */
async function run(poolSize) {
  clearRows();
  const relayOnly = byKind('policy-relay', HTMLInputElement).checked;
  const uris = servers.map(({ uri }) => uri);
  /** @type {import('./gather.js').CandidateRow[]} */
  const candidates = [];
  /** @type {import('./gather.js').ErrorRow[]} */
  const errors = [];
  await new Promise((resolve, reject) => {
    gathering = new Gathering({
      iceServers: join(servers),
      iceTransportPolicy: relayOnly ? 'relay' : 'all',
      iceCandidatePoolSize: poolSize,
    }, {
      candidate: (row) => {
        candidates.push(row);
        addCandidate(row);
      },
      error: (row) => {
        errors.push(row);
        addError(row);
      },
      done: ({ time, complete }) => {
        const outcome = { uris, candidates, errors, time, complete, relayOnly };
        showOutcome(summary(outcome), findings(outcome));
        resolve(undefined);
      },
    });
    gathering.start().catch(reject);
  });
}

/**
 * A browser shows own addresses only to a page that may use a microphone or
 * camera, and while it does.
 * @returns {Promise<() => void>} gives the microphone back
 */
async function showLocalAddresses() {
  if (!byKind('show-local', HTMLInputElement).checked) return () => {};
  try {
    const media = await openMedia({ audio: true, video: false });
    return () => media.close();
  } catch (failure) {
    setMessage(byId('gather-problem'), `${/** @type {Error} */ (failure).message} Gathering goes on without.`);
    return () => {};
  }
}

/** @param {boolean} running */
function setRunning(running) {
  main.dataset.gathering = running ? 'running' : 'done';
  gather.setAttribute('aria-disabled', String(running));
  setText(gather, running ? 'Gathering…' : 'Gather candidates');
  byId('stop').hidden = !running;
}

setServers([]);
main.inert = false; // no click or key before this was for us
