/** The base class of everything that emits events. */

/** @template {Record<string, any>} Events */
export class Emitter {
  /** @type {Map<keyof Events, Set<(detail: any) => void>>} */
  #listeners = new Map();

  /**
   * Calls a listener for each event of a type.
   * @template {keyof Events} T
   * @param {T} type
   * @param {(detail: Events[T]) => void} listener
   * @returns {() => void} removes the listener
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => this.off(type, listener);
  }

  /**
   * Calls a listener for the next event of a type, and then removes it.
   * @template {keyof Events} T
   * @param {T} type
   * @param {(detail: Events[T]) => void} listener
   * @returns {() => void} removes the listener
   */
  once(type, listener) {
    const remove = this.on(type, (detail) => {
      remove();
      listener(detail);
    });
    return remove;
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
   * Calls the listeners of an event. Only the class that the event belongs to calls this. An error that a listener throws is
   * reported as uncaught; it stops neither the other listeners nor the caller.
   * @template {keyof Events} T
   * @param {T} type
   * @param {Events[T]} detail
   * @returns {boolean} whether there is a listener
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
