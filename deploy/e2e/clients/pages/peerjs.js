// PeerJS with icebox as its server, and icebox's ICE servers instead of PeerJS's own. Everything
// else is as on any page with PeerJS.
import { Peer } from 'peerjs';
import { $, me, say, camera, show, host, ice } from './page.js';

const peer = new Peer(me, { host, port: 443, path: '/peerjs', config: await ice() });
let call;
const failures = [];

peer.on('open', (id) => say(`open as ${id}`));
peer.on('error', ({ type }) => failures.push(type));
peer.on('call', async (incoming) => {
  useCall(incoming);
  incoming.answer(await camera());
});
peer.on('connection', (channel) => channel.on('data', (data) => ($('text').value += data)));

function useCall(one) {
  call = one;
  call.on('stream', show);
  call.on('willCloseOnRemote', () => (window.closesOnRemote = true));
  call.on('close', () => {
    show(null);
    say('hung up');
  });
}

$('call').onclick = async () => {
  const channel = peer.connect($('other').value);
  channel.on('open', () => channel.send(`hello from ${me}`));
  useCall(peer.call($('other').value, await camera()));
};
$('hang-up').onclick = () => call.close();
Object.assign(window, { peer, failures });
