/**
 * A minimal client of the classic protocol: it has no call IDs and no control channel, and it
 * answers every call at once. It runs in a page of the daemon's origin, and publishes its state as
 * globalThis.classic.
 */

export function runClassic(page, name) {
  return page.evaluate((self) => new Promise((signedIn) => {
    const socket = new WebSocket(new URL('/ws', location.href.replace(/^http/, 'ws')));
    const client = { frames: 0, left: false };
    globalThis.classic = client;
    let peer;
    let connection;
    let waiting = [];
    const send = (message) => socket.send(JSON.stringify({ ...message, name: peer ?? self }));

    async function answer(offer) {
      connection = new RTCPeerConnection();
      connection.onicecandidate = ({ candidate }) => candidate && send({ type: 'candidate', candidate });
      connection.ontrack = ({ streams, track }) => {
        if (track.kind !== 'video') return;
        const video = document.createElement('video');
        video.muted = true;
        video.srcObject = streams[0];
        video.requestVideoFrameCallback(function count() {
          client.frames += 1;
          video.requestVideoFrameCallback(count);
        });
        void video.play();
      };
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
      for (const track of stream.getTracks()) connection.addTrack(track, stream);
      await connection.setRemoteDescription(offer);
      await connection.setLocalDescription(await connection.createAnswer());
      send({ type: 'answer', answer: connection.localDescription });
      for (const candidate of waiting) await connection.addIceCandidate(candidate);
      waiting = null;
    }

    client.hangUp = () => {
      send({ type: 'leave' });
      connection.close();
    };
    socket.onopen = () => send({ type: 'login' });
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === 'login') signedIn(message.success);
      if (message.type === 'leave') client.left = true;
      if (message.type === 'candidate') {
        if (waiting) waiting.push(message.candidate);
        else void connection.addIceCandidate(message.candidate);
      }
      if (message.type === 'offer') {
        peer = message.name;
        void answer(message.offer);
      }
    };
  }), name);
}
