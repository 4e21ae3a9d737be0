// y-webrtc: merges two documents that were edited separately.
import * as Y from 'yjs';
import { WebrtcProvider } from 'y-webrtc';
import { $, me, say, host, ice } from './page.js';

const doc = new Y.Doc();
const text = doc.getText('text');
text.insert(0, `${me} alone. `);
text.observe(() => ($('text').value = text.toString()));
$('text').onchange = () => text.insert(text.length, $('text').value);

const provider = new WebrtcProvider('a room', doc, {
  signaling: [`wss://${host}/y-webrtc`], password: 'known to both', peerOpts: { config: await ice() },
});
provider.on('peers', ({ webrtcPeers }) => say(`${webrtcPeers.length} peers`));
window.edit = (words) => text.insert(text.length, words);
