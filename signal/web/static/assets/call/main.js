/** The call page: joins its parts. What they do is in their own modules. */

import { byId, byKind, setMessage } from '../basics/dom.js';
import { hubAddress } from '../basics/server.js';
import { Calls } from './calls.js';
import { hasRelay, IceServers } from './ice.js';
import { enable, openMedia, release } from './media.js';
import { PathPanel } from './panel.js';
import { Peer } from './peer.js';
import { Presence } from './presence.js';
import { Ring } from './ring.js';
import { explainUnreachable, Signalling } from './signalling.js';
import { showCall, showDuration, showPresence } from './view.js';

const page = location.href;
const nameInput = byKind('name', HTMLInputElement);
const calleeInput = byKind('callee', HTMLInputElement);
const useCamera = byKind('use-camera', HTMLInputElement);
const useMicrophone = byKind('use-microphone', HTMLInputElement);
const relayOnly = byKind('relay-only', HTMLInputElement);
const mute = byId('mute');
const cameraOff = byId('camera-off');

const ice = new IceServers(page);
const panel = new PathPanel();
const ring = new Ring();

const presence = new Presence({
  connect: (hooks) => new Signalling(hubAddress(page), hooks),
  explain: () => explainUnreachable(page),
  welcome: (reply) => {
    ice.take(reply);
    calls.self = presence.name;
    remember(presence.name);
  },
  message: (message) => calls.receive(message),
  change: () => {
    showPresence(presence);
    if (presence.state === 'out') calls.hangUp();
    if (presence.state === 'lost') calls.hubLost();
  },
});

const calls = new Calls({
  send: (message) => presence.send(message),
  media: () => openMedia({ audio: useMicrophone.checked, video: useCamera.checked }, navigator.mediaDevices),
  release,
  connect: async (stream, queue, hooks) => {
    const iceServers = await ice.current();
    if (relayOnly.checked && !hasRelay(iceServers)) {
      throw new Error('This server offers no relay. Switch “Always use the relay” off under “Options”.');
    }
    const iceTransportPolicy = relayOnly.checked ? 'relay' : 'all';
    return new Peer({ iceServers, iceTransportPolicy }, stream, queue, hooks);
  },
}, changed);

/** @type {import('./call.js').Call | null} The call that the switches below were set for. */
let shown = null;

function changed() {
  const { call, state } = calls;
  if (call !== shown) {
    shown = call;
    panel.hide();
    for (const button of [mute, cameraOff]) button.setAttribute('aria-pressed', 'false');
  }
  const has = (/** @type {string} */ kind) => call?.local?.getTracks().some((track) => track.kind === kind) ?? false;
  mute.hidden = !has('audio');
  cameraOff.hidden = !has('video');
  if (state === 'incoming') ring.start();
  else ring.stop();
  showCall(calls, has('video'));
}

/** Shows once a second what changes by itself. */
async function refresh() {
  showDuration();
  const { call, state } = calls;
  if (!call || (state !== 'in-call' && state !== 'interrupted')) return;
  const report = await call.stats();
  if (report && calls.call === call) panel.show(report, call.name);
}

/**
 * @param {HTMLElement} button
 * @param {'audio' | 'video'} kind
 */
function toggle(button, kind) {
  const off = button.getAttribute('aria-pressed') !== 'true';
  button.setAttribute('aria-pressed', String(off));
  if (calls.call?.local) enable(calls.call.local, kind, !off);
}

/** @param {string} name */
function remember(name) {
  try {
    localStorage.setItem('icebox-name', name);
  } catch {
    // A browser may forbid it; the name is typed again then.
  }
}

function remembered() {
  try {
    return localStorage.getItem('icebox-name') ?? '';
  } catch {
    return '';
  }
}

byId('sign-in-form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (presence.state !== 'out') return;
  const name = nameInput.value.normalize().trim();
  if (name) void presence.signIn(name);
  else setMessage(byId('sign-in-problem'), 'Enter a name first.');
});

byId('call-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = calleeInput.value.normalize().trim();
  const problem = calleeProblem(name);
  setMessage(byId('call-problem'), problem);
  calleeInput.setAttribute('aria-invalid', String(problem !== ''));
  if (!problem) void calls.start(name);
});

/** @param {string} name */
function calleeProblem(name) {
  if (!name) return 'Enter the name of the one you want to call.';
  if (name === presence.name) return 'This is your own name. Enter the name of the one you want to call.';
  if (presence.state !== 'in') return 'There is no connection to the server. Reconnect first.';
  return '';
}

byId('accept').addEventListener('click', () => void calls.accept());
byId('decline').addEventListener('click', () => calls.hangUp());
byId('incoming').addEventListener('close', () => calls.state === 'incoming' && calls.hangUp()); // by Escape
byId('hang-up').addEventListener('click', () => calls.hangUp());
mute.addEventListener('click', () => toggle(mute, 'audio'));
cameraOff.addEventListener('click', () => toggle(cameraOff, 'video'));
byId('reconnect').addEventListener('click', () => void presence.reconnect());
byId('sign-out').addEventListener('click', () => {
  calls.hangUp();
  presence.signOut();
});
addEventListener('online', () => void presence.reconnect());
addEventListener('pagehide', () => calls.hangUp());

relayOnly.checked = new URL(page).searchParams.get('policy') === 'relay';
byKind('options', HTMLDetailsElement).open = relayOnly.checked;
nameInput.value = remembered();
setInterval(() => void refresh(), 1000);
byId('main').inert = false; // no click or key before this was for us
