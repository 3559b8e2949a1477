// Changes that others make. Where the explorer can watch the store, it tells of them as they happen; elsewhere the page asks
// again and again.

import { changes } from "./api.js";
import { byId, problem } from "./dom.js";

/** Between two questions where nobody tells, and before what failed is tried again, in milliseconds. */
const PAUSE = 3000;
/** Before what could not be looked at is looked at again. */
const SOON = 250;
/** What takes long is done less often: the pause after a look is at least so many times as long. */
const SHARE = 10;

const pause = (time) => new Promise((done) => setTimeout(done, time));

/** What may have changed since the last look: these keys, the list of buckets, or anything. */
const nothing = () => ({ set: new Set(), deleted: new Set(), buckets: false, all: false });
let news = nothing();
let wake = () => {};
/** The stream of changes while there is one: its bucket, and what ends it. */
let stream = null;

function tell({ set = [], deleted = [], buckets = false, all = false }) {
  for (const key of set) news.set.add(key);
  for (const key of deleted) news.deleted.add(key);
  news.buckets ||= buckets;
  news.all ||= all;
  if (news.all || news.buckets || news.set.size || news.deleted.size) wake();
}

/**
 * Calls `look` with what may have changed in the bucket that `bucket` names. It answers whether it could look; otherwise, and if
 * it fails, it is called again. `watch` and `buckets` say what the explorer can tell.
 */
export function live({ watch, buckets, bucket, look }) {
  looking(look);
  listening(watch, bucket);
  if (buckets) asking();
}

/** The bucket that is shown is this one. */
export function turn(bucket) {
  if (stream && stream.bucket !== bucket) stream.end.abort();
}

async function looking(look) {
  let lost = false;
  for (;;) {
    while (!(news.all || news.buckets || news.set.size || news.deleted.size)) await new Promise((done) => (wake = done));
    const since = news;
    news = nothing();
    const begun = performance.now();
    let looked = false;
    try {
      looked = await look(since);
      if (lost) problem(null);
      lost = false;
    } catch (e) {
      if (!lost) problem(e);
      lost = true;
    }
    if (!looked) tell(since);
    // What fails is tried again soon: waiting for a server that is gone takes long as well.
    await pause(lost ? PAUSE : Math.max(looked ? 0 : SOON, SHARE * (performance.now() - begun)));
  }
}

async function listening(watch, bucket) {
  // Buckets that cannot be watched.
  const refused = new Set();
  document.addEventListener("visibilitychange", () => document.hidden && stream?.end.abort());
  for (;;) {
    await visible();
    const name = bucket();
    if (watch && !refused.has(name)) {
      stream = { bucket: name, end: new AbortController() };
      const { signal } = stream.end;
      try {
        await changes(name, signal, (line) => {
          byId("live").hidden = false;
          tell(line);
        });
      } catch (e) {
        // Why anything else failed shows when the page asks for the keys.
        if (e.status === 501) refused.add(name);
      }
      stream = null;
      byId("live").hidden = true;
      if (signal.aborted) continue;
    }
    tell({ all: true });
    await pause(PAUSE);
  }
}

/** No change of a bucket tells that there is another one. */
async function asking() {
  for (;;) {
    await pause(PAUSE);
    await visible();
    tell({ buckets: true });
  }
}

async function visible() {
  while (document.hidden) {
    await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
  }
}
