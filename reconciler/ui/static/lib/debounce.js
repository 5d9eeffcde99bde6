// @ts-check

/**
 * Return a function that calls `run` once its calls have paused for `wait` ms, with the last arguments. `now()` does not
 * wait any longer, `cancel()` forgets.
 * @template {any[]} A
 * @param {(...args: A) => void} run
 * @param {number} [wait]
 */
export function debounce(run, wait = 200) {
  let timer = 0;
  /** @type {A | null} */
  let pending = null;
  const now = () => {
    clearTimeout(timer);
    const args = pending;
    pending = null;
    if (args) run(...args);
  };
  const later = (/** @type {A} */ ...args) => {
    pending = args;
    clearTimeout(timer);
    timer = window.setTimeout(now, wait);
  };
  return Object.assign(later, {
    now,
    cancel: () => {
      clearTimeout(timer);
      pending = null;
    },
  });
}
