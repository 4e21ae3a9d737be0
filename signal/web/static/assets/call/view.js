/** Shows the sign-in and the calls on the page. It makes no decisions. */

import { byId, byKind, setMessage, setText } from '../basics/dom.js';
import { duration, listed } from '../basics/format.js';
import { beside } from '../basics/server.js';
import { initial } from './tiles.js';

/** @typedef {import('./presence.js').Presence} Presence */
/** @typedef {import('./calls.js').Calls} Calls */

const main = byId('main');
const localVideo = byKind('local-video', HTMLVideoElement);
const incoming = byKind('incoming', HTMLDialogElement);
const title = document.title;

/** When the current call connected. @type {number | null} */
let connectedAt = null;

/** @param {boolean} invited whether the page was opened by a link to a call */
export function showInvitation(invited) {
  setText(byId('sign-in-title'), invited ? 'You are invited to a call' : 'Video calls on your own server');
  setText(byId('sign-in-lead'), invited
    ? 'Enter a name for the others to see, or leave it empty to join as a guest.'
    : 'Choose a name. Other people who are signed in here can call you by it.');
  main.dataset.invited = String(invited);
  byId('join-box').hidden = !invited;
}

/** @param {Presence} presence */
export function showPresence(presence) {
  const wasInside = !byId('signed-in').hidden;
  const inside = presence.state === 'in' || presence.state === 'lost';
  main.dataset.presence = presence.state;
  main.dataset.transport = presence.client?.transport ?? '';

  byId('sign-in').hidden = inside;
  byId('signed-in').hidden = !inside;
  const verb = main.dataset.invited === 'true' ? ['Join the call', 'Joining…'] : ['Sign in', 'Signing in…'];
  setText(byId('sign-in-button'), verb[presence.state === 'joining' ? 1 : 0]);
  setMessage(byId('sign-in-problem'), inside ? '' : presence.problem);
  byId('name').setAttribute('aria-invalid', String(!inside && presence.problem !== ''));

  setText(byId('presence-words'), presenceWords(presence));
  byId('reconnect').hidden = presence.state !== 'lost';
  if (inside && !wasInside) byId('callee').focus();
  if (!inside && (wasInside || presence.problem)) byId('name').focus();
}

/** @param {Presence} presence */
function presenceWords({ state, name, problem }) {
  if (state === 'lost') return problem || 'The connection to the server was lost. Reconnecting…';
  return name ? `Signed in as ${name}` : 'Signed in as a guest';
}

/** @param {Calls} calls */
export function showCall(calls) {
  const { call, state, media, name } = calls;
  const before = main.dataset.call;
  main.dataset.call = state;
  const onStage = state !== 'idle' && state !== 'incoming';
  byId('lobby').hidden = onStage;
  byId('stage').hidden = !onStage;

  showSelf(media);
  const parties = call?.parties ?? [];
  byId('waiting').hidden = parties.length > 0;
  setText(byId('waiting-initial'), initial(name) || '…');
  const words = stateWords(calls);
  setText(byId('call-state'), onStage ? words : '');
  byId('share').hidden = name !== '' || state !== 'waiting';
  // The server's own link is not used, because the people invited also need the key, which only this page's URL has.
  byKind('link', HTMLInputElement).value = name === '' && call ? `${beside('', location.href).href}#call=${call.id}` : '';
  const cancels = state === 'ringing' || state === 'preparing';
  setText(byId('hang-up-words'), cancels ? 'Cancel' : name ? 'Hang up' : 'Leave');
  setMessage(byId('notice'), calls.notice);
  showIncoming(calls);
  updateDuration(state);
  document.title = words ? `${words} – icebox` : title;
  if (before !== state) moveFocus(onStage, before === 'idle' || before === 'incoming');
}

/** @param {import('../../sdk/icebox.js').LocalMedia | null} media */
function showSelf(media) {
  const stream = media?.stream ?? null;
  if (localVideo.srcObject !== stream) localVideo.srcObject = stream;
  localVideo.hidden = !media?.track('video') || (media.cameraOff && !media.sharing);
  localVideo.dataset.sharing = String(media?.sharing ?? false);
  const switches = /** @type {const} */ ([
    ['mute', media?.track('audio') != null, media?.muted],
    ['camera-off', media?.device('video'), media?.cameraOff],
    ['share-screen', media && navigator.mediaDevices?.getDisplayMedia !== undefined, media?.sharing],
  ]);
  for (const [id, there, pressed] of switches) {
    byId(id).hidden = !there;
    byId(id).setAttribute('aria-pressed', String(pressed ?? false));
  }
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
 * Shows or closes the dialog for an incoming call. The dialog gets the focus, not one of its buttons, so that a key that the user
 * happens to press does not open the camera.
 * @param {Calls} calls
 */
function showIncoming({ state, name }) {
  if (state === 'incoming') {
    setText(byId('incoming-title'), `${name || 'A guest'} is calling`);
    setText(byId('incoming-initial'), initial(name || 'Guest'));
    if (!incoming.open) {
      incoming.showModal();
      incoming.focus();
    }
  } else if (incoming.open) {
    incoming.close();
  }
}

/**
 * @param {Calls} calls
 * @returns {string}
 */
function stateWords({ state, name, call }) {
  const names = call?.parties.map((party) => party.name || 'a guest') ?? [];
  const others = name || (names.length > 3 ? `${names.length} people` : listed(names)) || 'the others';
  switch (state) {
    case 'preparing': return 'Opening camera and microphone…';
    case 'ringing': return `Ringing ${others}…`;
    case 'waiting': return 'Waiting for others to join…';
    case 'incoming': return `${name || 'A guest'} is calling`;
    case 'connecting': return `Connecting to ${others}…`;
    case 'in-call': return `In call with ${others}`;
    case 'interrupted': return `The connection to ${others} is interrupted. Waiting for it to come back…`;
    default: return '';
  }
}

/** @param {Calls['state']} state */
function updateDuration(state) {
  const connected = state === 'in-call' || state === 'interrupted';
  if (!connected) connectedAt = null;
  else connectedAt ??= performance.now();
  byId('call-duration').hidden = !connected;
  showDuration();
}

/** Shows how long the call has lasted. Called once a second. */
export function showDuration() {
  if (connectedAt !== null) setText(byId('call-duration'), duration((performance.now() - connectedAt) / 1000));
}
