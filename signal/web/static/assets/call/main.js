/** The call page: joins its parts. What they do is in their own modules, and all of the calling in the SDK. */

import { connect, openMedia } from '../../sdk/icebox.js';
import { byId, byKind, setMessage, setText } from '../basics/dom.js';
import { beside } from '../basics/server.js';
import { Calls } from './calls.js';
import { Chat } from './chat.js';
import { Devices } from './devices.js';
import { PathPanel } from './panel.js';
import { keep, kept, Presence } from './presence.js';
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
const devices = new Devices((failure) => tell(callWords(failure, '')));

const presence = new Presence({
  hasKey: key !== undefined,
  connect: ({ name, replace }) => connect({ url: beside('', page.href).origin + beside('', page.href).pathname, name, key, replace }),
  welcome: (client) => {
    calls.attach(client);
    remember(presence.name);
  },
  change: () => {
    showPresence(presence);
    if (presence.state === 'out') calls.hangUp();
  },
});

const calls = new Calls({
  media: async () => {
    const servers = presence.client?.iceServers ?? [];
    if (relayOnly.checked && !servers.some(({ urls }) => [urls].flat().some((url) => /^turns?:/i.test(url)))) {
      throw new Error('This server offers no relay. Switch “Always use the relay” off under “Options”.');
    }
    const wish = { audio: byKind('use-microphone', HTMLInputElement).checked, video: byKind('use-camera', HTMLInputElement).checked };
    const media = await openMedia(devices.wish(wish));
    media.on('change', changed);
    return media;
  },
  policy: () => (relayOnly.checked ? 'relay' : 'all'),
  began: (call) => {
    chat.attach(call);
    for (const event of /** @type {const} */ (['party', 'stream', 'shows'])) call.on(event, changed);
    if (calls.name === '') invite(call.id);
  },
  changed,
});

/** @type {import('../../sdk/icebox.js').Call | null} The call that is shown. */
let shown = null;

function changed() {
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

/** Shows once a second what changes by itself. */
async function refresh() {
  showDuration();
  const { call, state } = calls;
  if (!call || (state !== 'in-call' && state !== 'interrupted')) return;
  const all = await call.stats();
  if (calls.call !== call) return;
  for (const { party, stats } of all) if (party.connected) tiles.showQuality(party, stats);
  panel.show(all.map(({ party, stats }) => ({ name: party.name || 'Guest', stats })));
}

/** @param {string} words */
function tell(words) {
  calls.notice = words;
  changed();
}

/** The call that the page's address names, if it does. */
function invitation() {
  return new URLSearchParams(location.hash.slice(1)).get('call') ?? '';
}

/** @param {string} id what the page's address names from now on, so that a reload leads back to it */
function invite(id) {
  history.replaceState(null, '', id ? `#call=${id}` : location.pathname + location.search);
  showInvitation(id !== '');
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
  if (!name) return 'Enter the name of the one you want to call.';
  if (name === presence.name) return 'This is your own name. Enter the name of the one you want to call.';
  if (presence.state !== 'in') return 'There is no connection to the server. Reconnect first.';
  return '';
}

/** @param {string} id @param {() => unknown} action */
const onClick = (id, action) => byId(id).addEventListener('click', () => void action());

onClick('create', () => calls.create());
onClick('join', () => calls.join(invitation()));
onClick('join-not', () => invite(''));
onClick('accept', () => calls.accept());
onClick('decline', () => calls.hangUp());
byId('incoming').addEventListener('close', () => calls.state === 'incoming' && calls.hangUp()); // by Escape
onClick('hang-up', () => calls.hangUp());
onClick('mute', () => calls.media && (calls.media.muted = !calls.media.muted));
onClick('camera-off', () => calls.media && (calls.media.cameraOff = !calls.media.cameraOff));
onClick('share-screen', async () => {
  const { media } = calls;
  if (media?.sharing) return media.stopSharing();
  await media?.shareScreen().catch((failure) => failure.code !== 'media-NotAllowedError' && tell(failure.message));
});
byId('keyed').hidden = key === undefined;
onClick('copy', async () => {
  link.select();
  const words = await navigator.clipboard?.writeText(link.value).then(() => 'Copied.', () => '') ?? '';
  setText(byId('copied'), words || 'Press Ctrl+C, or hold the link, to copy it.');
});
onClick('reconnect', () => presence.reconnect());
onClick('sign-out', () => {
  calls.hangUp();
  presence.signOut();
});
addEventListener('hashchange', () => calls.call || showInvitation(invitation() !== ''));

document.addEventListener('visibilitychange', () => {
  const { client } = presence;
  if (document.visibilityState === 'visible') keep(null);
  else if (client) keep({ name: presence.name, secret: client.secret }); // else the page is being left, and has seen to it
});
addEventListener('pagehide', () => {
  const { client } = presence;
  if (!client) return;
  keep({ name: presence.name, secret: client.secret });
  client.close({ unloading: true });
});
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

relayOnly.checked = page.searchParams.get('policy') === 'relay';
byKind('options', HTMLDetailsElement).open = relayOnly.checked;
const before = kept();
nameInput.value = before?.name ?? remembered();
showInvitation(invitation() !== '');
showPresence(presence);
setInterval(() => void refresh(), 1000);
byId('main').inert = false; // no click or key before this was for us
if (before) void signIn(before.secret);
