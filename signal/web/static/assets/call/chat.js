/** The text chat of a call, from browser to browser. Nothing is stored. */

import { byId, byKind, element, setText } from '../basics/dom.js';

/** @typedef {import('../../sdk/icebox.js').Call} Call */

const MAX_LINES = 500;
const box = byId('chat');
const button = byId('open-chat');
const text = byKind('chat-text', HTMLInputElement);
const lines = byId('chat-lines');

export class Chat {
  /** @type {Call | null} */
  #call = null;
  #unread = 0;

  constructor() {
    button.addEventListener('click', () => this.#setOpen(box.hidden));
    byId('chat-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send(text.value.trim());
    });
  }

  /** Shows an empty chat for this call. @param {Call | null} call */
  attach(call) {
    this.#call = call;
    lines.replaceChildren();
    text.value = '';
    this.#setOpen(false);
    call?.on('data', ({ party, data }) => {
      if (this.#call === call && typeof data?.chat === 'string') this.#receive(party.name || 'Guest', data.chat);
    });
  }

  /** @param {string} words */
  #send(words) {
    if (!words || !this.#call) return;
    this.#call.send({ chat: words });
    text.value = '';
    this.#addLine('You', words, 'own');
  }

  /**
   * @param {string} sender
   * @param {string} words
   */
  #receive(sender, words) {
    this.#addLine(sender, words.slice(0, 4000), 'theirs');
    if (!box.hidden) return;
    this.#unread += 1;
    this.#updateLabel();
  }

  /**
   * @param {string} sender
   * @param {string} words
   * @param {string} side own or theirs
   */
  #addLine(sender, words, side) {
    lines.append(element('p', { class: side }, element('span', { class: 'who' }, sender), element('span', { class: 'said' }, words)));
    if (lines.children.length > MAX_LINES) lines.firstElementChild?.remove();
    lines.scrollTop = lines.scrollHeight;
  }

  /** @param {boolean} open */
  #setOpen(open) {
    const wasOpen = !box.hidden;
    box.hidden = !open;
    byId('room').dataset.chat = String(open);
    button.setAttribute('aria-expanded', String(open));
    if (open) this.#unread = 0;
    this.#updateLabel();
    if (open && !wasOpen) text.focus();
  }

  #updateLabel() {
    setText(byId('open-chat-words'), this.#unread > 0 ? `Chat (${this.#unread} new)` : 'Chat');
  }
}
