/** Shows presence and calls in the page. It decides nothing. */

import { byId, byKind, setMessage, setText } from '../basics/dom.js';
import { duration } from '../basics/format.js';

/** @typedef {import('./presence.js').Presence} Presence */
/** @typedef {import('./calls.js').Calls} Calls */

const main = byId('main');
const remoteVideo = byKind('remote-video', HTMLVideoElement);
const localVideo = byKind('local-video', HTMLVideoElement);
const incoming = byKind('incoming', HTMLDialogElement);
const title = document.title;

/** @type {number | null} When the current call connected. */
let since = null;

/** @param {Presence} presence */
export function showPresence(presence) {
  const wasInside = !byId('signed-in').hidden;
  const inside = presence.state !== 'out' && presence.state !== 'joining';
  main.dataset.presence = presence.state;

  byId('sign-in').hidden = inside;
  byId('signed-in').hidden = !inside;
  const button = byKind('sign-in-button', HTMLButtonElement);
  setText(button, presence.state === 'joining' ? 'Signing in…' : 'Sign in');
  setMessage(byId('sign-in-problem'), inside ? '' : presence.problem);
  byId('name').setAttribute('aria-invalid', String(!inside && presence.problem !== ''));

  setText(byId('presence-words'), presenceWords(presence));
  byId('reconnect').hidden = presence.state !== 'lost';
  if (inside && !wasInside) byId('callee').focus();
  if (!inside && (wasInside || presence.problem)) byId('name').focus();
}

/** @param {Presence} presence */
function presenceWords({ state, name, problem }) {
  if (state === 'lost') return problem || 'The connection to the server was lost. Trying again…';
  if (state === 'rejoining') return 'Connecting to the server…';
  return `Signed in as ${name}`;
}

/**
 * @param {Calls} calls
 * @param {boolean} sendsVideo whether a picture of us is there to show
 */
export function showCall(calls, sendsVideo) {
  const { call, state } = calls;
  const before = main.dataset.call;
  main.dataset.call = state;
  const onStage = call !== null && state !== 'incoming';
  byId('lobby').hidden = onStage;
  byId('stage').hidden = !onStage;

  attach(remoteVideo, onStage ? call.remote : null);
  attach(localVideo, onStage ? call.local : null);
  localVideo.hidden = !sendsVideo;
  byId('waiting').hidden = state === 'in-call' || state === 'interrupted';
  setText(byId('waiting-initial'), initial(call?.name));
  remoteVideo.setAttribute('aria-label', call ? `Video from ${call.name}` : 'Their video');

  setText(byId('call-state'), call ? stateWords(state, call.name) : '');
  setText(byId('hang-up-words'), state === 'ringing' || state === 'preparing' ? 'Cancel' : 'Hang up');
  setMessage(byId('notice'), calls.notice);
  showIncoming(calls);
  countFrom(state);
  document.title = call ? `${stateWords(state, call.name)} – icebox` : title;
  if (before !== state) moveFocus(onStage, before === 'idle' || before === 'incoming');
}

/**
 * @param {boolean} onStage
 * @param {boolean} cameFromLobby
 */
function moveFocus(onStage, cameFromLobby) {
  if (onStage && cameFromLobby) byId('stage-title').focus();
  else if (!onStage && !cameFromLobby && !incoming.open) byId('callee').focus();
}

/**
 * The dialog itself gets the focus, not a button: a key pressed by chance must
 * not open the camera.
 * @param {Calls} calls
 */
function showIncoming({ state, call }) {
  if (state === 'incoming' && call) {
    setText(byId('incoming-title'), `${call.name} is calling`);
    setText(byId('incoming-initial'), initial(call.name));
    if (!incoming.open) {
      incoming.showModal();
      incoming.focus();
    }
  } else if (incoming.open) {
    incoming.close();
  }
}

/**
 * @param {Calls['state']} state
 * @param {string} name
 * @returns {string}
 */
function stateWords(state, name) {
  switch (state) {
    case 'preparing': return 'Opening camera and microphone…';
    case 'ringing': return `Ringing ${name}…`;
    case 'incoming': return `${name} is calling`;
    case 'connecting': return `Connecting to ${name}…`;
    case 'in-call': return `In call with ${name}`;
    case 'interrupted': return `The connection to ${name} is interrupted. Waiting for it to come back…`;
    default: return '';
  }
}

/** @param {Calls['state']} state */
function countFrom(state) {
  const connected = state === 'in-call' || state === 'interrupted';
  if (!connected) since = null;
  else since ??= performance.now();
  byId('call-duration').hidden = !connected;
  showDuration();
}

/** Shows how long the call has lasted; to be called about once a second. */
export function showDuration() {
  if (since !== null) setText(byId('call-duration'), duration((performance.now() - since) / 1000));
}

/**
 * @param {HTMLVideoElement} video
 * @param {MediaStream | null} stream
 */
function attach(video, stream) {
  if (video.srcObject !== stream) video.srcObject = stream;
}

/**
 * @param {string | undefined} name
 * @returns {string} its first character, whole even outside the basic plane
 */
function initial(name = '') {
  return Array.from(name)[0] ?? '';
}
