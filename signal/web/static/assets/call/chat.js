/** Text beside a call, from browser to browser. Nothing of it is kept. */

import { byId, byKind, element, setText } from '../basics/dom.js';

/** @typedef {import('../../sdk/icebox.js').Call} Call */

const MOST_LINES = 500;
const box = byId('chat');
const button = byId('open-chat');
const text = byKind('chat-text', HTMLInputElement);
const lines = byId('chat-lines');

export class Chat {
  /** @type {Call | null} */
  #call = null;
  #unread = 0;

  constructor() {
    button.addEventListener('click', () => this.#open(box.hidden));
    byId('chat-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#say(text.value.trim());
    });
  }

  /** @param {Call | null} call whose chat it is from now on */
  attach(call) {
    this.#call = call;
    lines.replaceChildren();
    text.value = '';
    this.#open(false);
    call?.on('data', ({ party, data }) => {
      if (this.#call === call && typeof data?.chat === 'string') this.#hear(party.name || 'Guest', data.chat);
    });
  }

  /** @param {string} words */
  #say(words) {
    if (!words || !this.#call) return;
    this.#call.send({ chat: words });
    text.value = '';
    this.#add('You', words, 'own');
  }

  /**
   * @param {string} who
   * @param {string} words
   */
  #hear(who, words) {
    this.#add(who, words.slice(0, 4000), 'theirs');
    if (!box.hidden) return;
    this.#unread += 1;
    this.#label();
  }

  /**
   * @param {string} who
   * @param {string} words
   * @param {string} whose
   */
  #add(who, words, whose) {
    lines.append(element('p', { class: whose }, element('span', { class: 'who' }, who), element('span', { class: 'said' }, words)));
    if (lines.children.length > MOST_LINES) lines.firstElementChild?.remove();
    lines.scrollTop = lines.scrollHeight;
  }

  /** @param {boolean} open */
  #open(open) {
    const had = !box.hidden;
    box.hidden = !open;
    byId('room').dataset.chat = String(open);
    button.setAttribute('aria-expanded', String(open));
    if (open) this.#unread = 0;
    this.#label();
    if (open && !had) text.focus();
  }

  #label() {
    setText(byId('open-chat-words'), this.#unread > 0 ? `Chat (${this.#unread} new)` : 'Chat');
  }
}
