/** Events with listeners. */

/** @template {Record<string, any>} Events */
export class Emitter {
  /** @type {Map<keyof Events, Set<(detail: any) => void>>} */
  #listeners = new Map();

  /**
   * Has a function called for each event of a type.
   * @template {keyof Events} T
   * @param {T} type
   * @param {(detail: Events[T]) => void} listener
   * @returns {() => void} what ends that
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => this.off(type, listener);
  }

  /**
   * Has a function called for the next event of a type.
   * @template {keyof Events} T
   * @param {T} type
   * @param {(detail: Events[T]) => void} listener
   * @returns {() => void} what ends that
   */
  once(type, listener) {
    const end = this.on(type, (detail) => {
      end();
      listener(detail);
    });
    return end;
  }

  /**
   * @template {keyof Events} T
   * @param {T} type
   * @param {(detail: Events[T]) => void} listener
   */
  off(type, listener) {
    this.#listeners.get(type)?.delete(listener);
  }

  /**
   * For whoever the events are of. A listener that throws keeps neither the others nor the caller from going on.
   * @template {keyof Events} T
   * @param {T} type
   * @param {Events[T]} detail
   * @returns {boolean} whether anybody listens
   */
  emit(type, detail) {
    const listeners = [...(this.#listeners.get(type) ?? [])];
    for (const listener of listeners) {
      try {
        listener(detail);
      } catch (thrown) {
        queueMicrotask(() => {
          throw thrown;
        });
      }
    }
    return listeners.length > 0;
  }
}
