/** The call page. This module connects the others, which do the work. All the calling is in the SDK. */

import { connect, openMedia } from '../../sdk/icebox.js';
import { byId, byKind, setMessage, setText } from '../basics/dom.js';
import { beside } from '../basics/server.js';
import { Calls } from './calls.js';
import { Chat } from './chat.js';
import { Devices } from './devices.js';
import { PathPanel } from './panel.js';
import { popSession, Presence, saveSession } from './presence.js';
import { Ring } from './ring.js';
import { Tiles } from './tiles.js';
import { showCall, showDuration, showInvitation, showPresence } from './view.js';
import { callWords } from './words.js';

const page = new URL(location.href);
const key = page.searchParams.get('key') ?? undefined;
const nameInput = byKind('name', HTMLInputElement);
const calleeInput = byKind('callee', HTMLInputElement);
const relayOnly = byKind('relay-only', HTMLInputElement);
const link = byKind('link', HTMLInputElement);

const panel = new PathPanel();
const ring = new Ring();
const tiles = new Tiles();
const chat = new Chat();
const devices = new Devices((failure) => showNotice(callWords(failure, '')));

const presence = new Presence({
  hasKey: key !== undefined,
  connect: ({ name, replace }) => connect({ url: beside('', page.href).origin + beside('', page.href).pathname, name, key, replace }),
  onClient: (client) => {
    calls.attach(client);
    remember(presence.name);
  },
  onChange: () => {
    showPresence(presence);
    if (presence.state === 'out') calls.hangUp();
  },
});

const calls = new Calls({
  openMedia: async () => {
    const servers = presence.client?.iceServers ?? [];
    if (relayOnly.checked && !servers.some(({ urls }) => [urls].flat().some((url) => /^turns?:/i.test(url)))) {
      throw new Error('This server offers no relay. Switch off “Always use the relay” under “Options”.');
    }
    const wish = { audio: byKind('use-microphone', HTMLInputElement).checked, video: byKind('use-camera', HTMLInputElement).checked };
    const media = await openMedia(devices.wish(wish));
    media.on('change', update);
    return media;
  },
  policy: () => (relayOnly.checked ? 'relay' : 'all'),
  onStart: (call) => {
    chat.attach(call);
    for (const event of /** @type {const} */ (['party', 'stream', 'shows'])) call.on(event, update);
    if (calls.name === '') invite(call.id);
  },
  onChange: update,
});

/** The call that the page shows. @type {import('../../sdk/icebox.js').Call | null} */
let shown = null;

function update() {
  const { call, state, media } = calls;
  if (shown && call !== shown) {
    panel.hide();
    chat.attach(null);
    setText(byId('copied'), '');
    invite('');
  }
  shown = call;
  devices.attach(media);
  if (state === 'incoming') ring.start();
  else ring.stop();
  tiles.show(call?.parties ?? []);
  showCall(calls);
}

/** Updates the duration and the statistics. Called once a second. */
async function refresh() {
  showDuration();
  const { call, state } = calls;
  if (!call || (state !== 'in-call' && state !== 'interrupted')) return;
  const all = await call.stats();
  if (calls.call !== call) return;
  for (const { party, stats } of all) if (party.connected) tiles.showQuality(party, stats);
  panel.show(all.map(({ party, stats }) => ({ name: party.name || 'Guest', stats })));
}

/** @param {string} notice */
function showNotice(notice) {
  calls.notice = notice;
  update();
}

/** Returns the ID of the call in the page's URL, or an empty string. */
function invitation() {
  return new URLSearchParams(location.hash.slice(1)).get('call') ?? '';
}

/** Puts a call's ID into the page's URL, so that a reload leads back to the call. @param {string} id */
function invite(id) {
  history.replaceState(null, '', id ? `#call=${id}` : location.pathname + location.search);
  showInvitation(id !== '');
}

/** @param {string} name */
function remember(name) {
  try {
    localStorage.setItem('icebox-name', name);
  } catch {
    // The browser may forbid storage. The user then has to type the name again.
  }
}

function remembered() {
  try {
    return localStorage.getItem('icebox-name') ?? '';
  } catch {
    return '';
  }
}

/** @param {string} [replace] */
async function signIn(replace) {
  const name = nameInput.value.normalize().trim();
  const invited = invitation();
  if (!name && !invited) return setMessage(byId('sign-in-problem'), 'Enter a name first.');
  await presence.signIn(name, replace);
  if (presence.state === 'in' && invited && replace === undefined) void calls.join(invited);
}

byId('sign-in-form').addEventListener('submit', (event) => {
  event.preventDefault();
  void signIn();
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
  if (!name) return 'Enter the name of the person you want to call.';
  if (name === presence.name) return 'This is your own name. Enter the name of the person you want to call.';
  if (presence.state !== 'in') return 'There is no connection to the server. Press “Reconnect now” first.';
  return '';
}

/** @param {string} id @param {() => unknown} action */
const onClick = (id, action) => byId(id).addEventListener('click', () => void action());

onClick('create', () => calls.create());
onClick('join', () => calls.join(invitation()));
onClick('join-not', () => invite(''));
onClick('accept', () => calls.accept());
onClick('decline', () => calls.hangUp());
byId('incoming').addEventListener('close', () => calls.state === 'incoming' && calls.hangUp()); // the Escape key closes the dialog
onClick('hang-up', () => calls.hangUp());
onClick('mute', () => calls.media && (calls.media.muted = !calls.media.muted));
onClick('camera-off', () => calls.media && (calls.media.cameraOff = !calls.media.cameraOff));
onClick('share-screen', async () => {
  const { media } = calls;
  if (media?.sharing) return media.stopSharing();
  await media?.shareScreen().catch((failure) => failure.code !== 'media-NotAllowedError' && showNotice(failure.message));
});
byId('keyed').hidden = key === undefined;
onClick('copy', async () => {
  link.select();
  const copied = await navigator.clipboard?.writeText(link.value).then(() => 'Copied.', () => '') ?? '';
  setText(byId('copied'), copied || 'To copy the link, press Ctrl+C, or touch and hold it.');
});
onClick('reconnect', () => presence.reconnect());
onClick('sign-out', () => {
  calls.hangUp();
  presence.signOut();
});
addEventListener('hashchange', () => calls.call || showInvitation(invitation() !== ''));

document.addEventListener('visibilitychange', () => {
  const { client } = presence;
  if (document.visibilityState === 'visible') saveSession(null);
  else if (client) saveSession({ name: presence.name, secret: client.secret }); // while the page is left there is no client, and pagehide has saved it
});
addEventListener('pagehide', () => {
  const { client } = presence;
  if (!client) return;
  saveSession({ name: presence.name, secret: client.secret });
  client.close({ unloading: true });
});
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

relayOnly.checked = page.searchParams.get('policy') === 'relay';
byKind('options', HTMLDetailsElement).open = relayOnly.checked;
const session = popSession();
nameInput.value = session?.name ?? remembered();
showInvitation(invitation() !== '');
showPresence(presence);
setInterval(() => void refresh(), 1000);
byId('main').inert = false; // the HTML sets it, because before this line nothing handles clicks and keys
if (session) void signIn(session.secret);
