// What the pages have in common: elements, who we are, a camera, and the one line that gives a client the relay.
export const $ = (id) => document.getElementById(id);
export const me = location.hash.slice(1);
export const say = (state) => ($('state').textContent = state);
export const camera = async () => ($('mine').srcObject = await navigator.mediaDevices.getUserMedia({ video: true, audio: true }));
export const show = (stream) => ($('theirs').srcObject = stream);
export const host = location.hostname;
export const ice = async () => (await fetch(`https://${host}/ice`)).json();
