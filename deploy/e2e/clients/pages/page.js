// Shared by the pages: elements, the user's name, a camera, and the request for icebox's ICE
// servers.
export const $ = (id) => document.getElementById(id);
export const me = location.hash.slice(1);
export const say = (state) => ($('state').textContent = state);
export const camera = async () => ($('mine').srcObject = await navigator.mediaDevices.getUserMedia({ video: true, audio: true }));
export const show = (stream) => ($('theirs').srcObject = stream);
export const host = location.hostname;
export const ice = async () => (await fetch(`https://${host}/ice`)).json();
