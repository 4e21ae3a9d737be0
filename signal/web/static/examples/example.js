/** The SDK in sixty lines: a call with a link, videos, a chat, and the quality of the connections. */

import { connect } from '../sdk/icebox.js';

const $ = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
const key = new URLSearchParams(location.search).get('key') ?? undefined;
/** @type {Map<object, HTMLVideoElement>} */
const videos = new Map();

/** @param {object} owner @param {MediaStream} stream */
function show(owner, stream) {
  const video = videos.get(owner) ?? Object.assign(document.createElement('video'), { autoplay: true, playsInline: true });
  video.srcObject = stream;
  videos.set(owner, video);
  $('videos').append(video);
  return video;
}

/** @param {string} text */
const say = (text) => $('lines').append(Object.assign(document.createElement('p'), { textContent: text }));

async function start() {
  $('start').disabled = true;
  const client = await connect({ url: new URL('..', location.href.split(/[?#]/)[0]), key });
  const id = location.hash.slice(1);
  const call = id ? await client.join(id) : await client.createCall({ max: client.limits.parties });
  location.hash = call.id;
  Object.assign($('link'), { href: location.href, textContent: location.href });
  for (const one of ['link', 'chat', 'leave']) $(one).hidden = false;
  show(call, call.media.stream).muted = true;

  call.on('stream', ({ party, stream }) => show(party, stream));
  call.on('left', ({ party }) => videos.get(party)?.remove());
  call.on('data', ({ data }) => say(`They: ${data}`));
  call.on('end', ({ reason }) => ($('words').textContent = `The call is over: ${reason}.`));
  $('leave').onclick = () => client.close();
  $('chat').onsubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    call.send($('text').value);
    say(`You: ${$('text').value}`);
    $('text').value = '';
  };
  setInterval(async () => {
    if (call.ended) return;
    const all = await call.stats();
    const words = all.map(({ stats }) => `${stats.route}, ${stats.quality}`).join('; ');
    $('words').textContent = `${call.state} over ${client.transport} ${words && `(${words})`}`;
  }, 1000);
  addEventListener('pagehide', () => client.close({ unloading: true }));
}

$('start').onclick = () => start().catch((failure) => {
  $('words').textContent = failure.message;
  $('start').disabled = false;
});
