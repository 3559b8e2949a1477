// Changes that others make. They are found by asking again; a stream of changes from the store would take the place of the
// pauses here, and nothing else would change.

import { problem } from "./dom.js";

/** The least pause, in milliseconds. */
const PAUSE = 3000;
/** What takes long is asked for less often: the pause is at least this many times as long. */
const SHARE = 10;

/** Calls `look` again and again while the page can be seen. */
export function live(look) {
  let lost = false;
  async function turn() {
    const begun = performance.now();
    if (!document.hidden) {
      try {
        await look();
        if (lost) problem(null);
        lost = false;
      } catch (e) {
        if (e.name !== "AbortError" && !lost) problem(e);
        lost = e.name !== "AbortError";
      }
    }
    // What fails is tried again soon: waiting for a server that is gone takes long as well.
    setTimeout(turn, lost ? PAUSE : Math.max(PAUSE, SHARE * (performance.now() - begun)));
  }
  setTimeout(turn, PAUSE);
}
