// PeerJS: where its server is, and icebox's ICE servers in place of its own. The rest is any PeerJS page.
import { Peer } from 'peerjs';
import { $, me, say, camera, show, host, ice } from './page.js';

const peer = new Peer(me, { host, port: 443, path: '/peerjs', config: await ice() });
let call;
const failures = [];

peer.on('open', (id) => say(`open as ${id}`));
peer.on('error', ({ type }) => failures.push(type));
peer.on('call', async (incoming) => {
  taken(incoming);
  incoming.answer(await camera());
});
peer.on('connection', (channel) => channel.on('data', (data) => ($('text').value += data)));

function taken(one) {
  call = one;
  call.on('stream', show);
  call.on('close', () => {
    show(null);
    say('hung up');
  });
}

$('call').onclick = async () => {
  const channel = peer.connect($('other').value);
  channel.on('open', () => channel.send(`hello from ${me}`));
  taken(peer.call($('other').value, await camera()));
};
$('hang-up').onclick = () => call.close();
Object.assign(window, { peer, failures });
