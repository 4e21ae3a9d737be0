// The tutorial's call by ID over PocketBase records, in our own code. It sends the same requests to
// the server at the same moments.
import PocketBase from 'pocketbase';
import { $, me, say, camera } from './page.js';

const pb = new PocketBase(location.origin);
const calls = pb.collection('calls');
const offerCandidates = pb.collection('offer_candidates');
const answerCandidates = pb.collection('answer_candidates');

const { record } = await pb.collection('users').authWithPassword(`${me}@example.org`, `password of ${me}`);
const stun = await pb.collection('ice_servers').getFullList();
$('text').value = stun.map(({ url }) => url);
// The only change: the tutorial would build the configuration from stun, which has no relay.
const servers = await (await fetch(pb.buildUrl('/ice'), { headers: { Authorization: `Bearer ${pb.authStore.token}` } })).json();

const pc = new RTCPeerConnection(servers);
pc.ontrack = ({ streams }) => ($('theirs').srcObject = streams[0]);
pc.onconnectionstatechange = () => say(pc.connectionState);
say('ready');

$('camera').onclick = async () => {
  const stream = await camera();
  for (const track of stream.getTracks()) pc.addTrack(track, stream);
  say('camera');
};

/** Sends our candidates to a collection. */
const candidatesTo = (collection, call) => {
  pc.onicecandidate = ({ candidate }) => candidate && collection.create({ call_id: call, data: candidate.toJSON() });
};

$('call').onclick = async () => {
  const { id } = await calls.create({ user_id: record.id });
  candidatesTo(offerCandidates, id);
  const { type, sdp } = await pc.createOffer();
  await pc.setLocalDescription({ type, sdp });
  await calls.update(id, { offer: { type, sdp } });
  calls.subscribe(id, ({ record: call }) => {
    if (!pc.currentRemoteDescription && call?.answer) pc.setRemoteDescription(call.answer);
  });
  answerCandidates.subscribe('*', ({ action, record: one }) => {
    if (action === 'create' && one?.call_id === id) pc.addIceCandidate(one.data);
  });
  $('other').value = id;
};

$('answer').onclick = async () => {
  const { id, offer } = await calls.getOne($('other').value);
  candidatesTo(answerCandidates, id);
  await pc.setRemoteDescription(offer);
  const { type, sdp } = await pc.createAnswer();
  await pc.setLocalDescription({ type, sdp });
  await calls.update(id, { answer: { type, sdp } });
  offerCandidates.subscribe('*', async ({ action, record: one }) => {
    if (one?.call_id !== id) return;
    if (action === 'create') await pc.addIceCandidate(one.data);
    if (action === 'delete') {
      await offerCandidates.unsubscribe();
      location.reload();
    }
  });
};

$('hang-up').onclick = async () => {
  const id = $('other').value;
  pc.close();
  await calls.unsubscribe(id);
  await calls.delete(id);
  await answerCandidates.unsubscribe();
  location.reload();
};
