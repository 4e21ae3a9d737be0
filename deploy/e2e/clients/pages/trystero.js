// Trystero: a room of two, with text and video.
import { $, say, camera, show, host, ice, me } from './page.js';
import { joinRoom } from './ws-relay.js';

const { iceServers } = await ice();
const turn = { ...iceServers.at(-1), urls: iceServers.at(-1).urls[0] }; // only one URL, because Trystero keeps 20 connections ready and each would use all of them
const room = joinRoom({
  appId: 'icebox', password: 'known to both', relayConfig: { urls: [`wss://${host}/trystero`] }, rtcConfig: { iceServers: [turn] },
}, 'a room');
const words = room.makeAction('words');
const stream = await camera();

words.onMessage = (data) => ($('text').value = data);
room.onPeerStream = show;
room.onPeerJoin = (peer) => {
  say('joined');
  room.addStream(stream, { target: peer });
  words.send(`hello from ${me}`, { target: peer });
};
room.onPeerLeave = () => say('left');
$('hang-up').onclick = () => room.leave();
