// A Trystero strategy that uses a relay of its ws-relay package. The client sends {type, topic,
// payload} and receives {topic, payload}.
import { createTopicStrategy, makeSocket, toJson } from '@trystero-p2p/core';

const listeners = new Map(); // topic -> set of listeners

function received(text) {
  const { topic, payload } = JSON.parse(text);
  for (const listener of listeners.get(topic) ?? []) listener(topic, payload);
}

export const joinRoom = createTopicStrategy({
  init: ({ relayConfig }) => relayConfig.urls.map((url) => makeSocket(url, received).ready),
  subscribeTopic(socket, topic, listener) {
    const all = listeners.get(topic) ?? new Set();
    if (all.size === 0) socket.send(toJson({ type: 'subscribe', topic }));
    listeners.set(topic, all.add(listener));
    return () => {
      if (all.delete(listener) && all.size === 0) socket.send(toJson({ type: 'unsubscribe', topic }));
    };
  },
  publishTopic: (socket, topic, payload) => socket.send(toJson({ type: 'publish', topic, payload })),
});
