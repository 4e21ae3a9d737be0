/** The trickle-ICE page. This module connects the others, which do the work. */

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
const useOwn = byKind('own', HTMLButtonElement);
const gatherButton = byKind('gather', HTMLButtonElement);
const pool = byKind('pool', HTMLInputElement);

/** @type {Server[]} */
let servers = [];
/** The index of the server that is in the form, or null if the form is for a new one. @type {number | null} */
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
  const rows = byId('servers').querySelectorAll('li');
  const next = rows[Math.min(at, rows.length - 1)]?.querySelectorAll('button')[1];
  (next ?? fields.uri).focus(); // the button that had the focus was removed
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

useOwn.addEventListener('click', async () => {
  useOwn.disabled = true;
  setMessage(byId('own-problem'), '');
  try {
    const { iceServers } = await fetchIceServers(location.href);
    if (editing !== null) clearForm();
    setServers(merge(servers, split(iceServers)));
    if (iceServers.length === 0) setMessage(byId('own-problem'), 'This server offers no STUN or TURN server.');
  } catch (failure) {
    setMessage(byId('own-problem'), failure instanceof Error ? failure.message : String(failure));
  } finally {
    useOwn.disabled = false;
    useOwn.focus();
  }
});

gatherButton.addEventListener('click', async () => {
  if (gathering) return;
  setMessage(byId('gather-problem'), '');
  const size = Number(pool.value);
  if (!Number.isInteger(size) || size < 0 || size > 10) {
    setMessage(byId('gather-problem'), 'Enter a whole number from 0 to 10 for the pool size.');
    return pool.focus();
  }
  setRunning(true);
  const release = await showLocalAddresses();
  try {
    await run(size);
  } catch (failure) {
    const message = failure instanceof Error ? failure.message : String(failure);
    setMessage(byId('gather-problem'), `The browser does not accept these servers: ${message}`);
  } finally {
    release();
    gathering = null;
    setRunning(false);
  }
});

byId('stop').addEventListener('click', () => gathering?.stop());

/**
 * Gathers once, from start to end.
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
 * Opens the microphone if the user has asked for it. Browsers show local addresses only to a page that uses a microphone or a
 * camera.
 * @returns {Promise<() => void>} closes the microphone
 */
async function showLocalAddresses() {
  if (!byKind('show-local', HTMLInputElement).checked) return () => {};
  try {
    const media = await openMedia({ audio: true, video: false });
    return () => media.close();
  } catch (failure) {
    setMessage(byId('gather-problem'), `${/** @type {Error} */ (failure).message} The test continues without it.`);
    return () => {};
  }
}

/** @param {boolean} running */
function setRunning(running) {
  main.dataset.gathering = running ? 'running' : 'done';
  gatherButton.setAttribute('aria-disabled', String(running));
  setText(gatherButton, running ? 'Gathering…' : 'Gather candidates');
  byId('stop').hidden = !running;
}

setServers([]);
main.inert = false; // the HTML sets it, because before this line nothing handles clicks and keys
