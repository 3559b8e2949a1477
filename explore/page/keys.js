// The list of keys: one page of a bucket at a time.

import { call } from "./api.js";
import { attempt, byId, element, shown } from "./dom.js";

/** A page ends with the answer that has so many keys in all. */
const ENOUGH = 200;

const state = {
  bucket: "default",
  prefix: "",
  trail: [null], // the cursors of the pages up to this one
  next: null,
  keys: [],
  fresh: new Set(), // keys that others added while this page was looked at
  active: -1,
  open: null,
};
let loading = null;
let opened = () => {};

export const bucket = () => state.bucket;
export const prefix = () => state.prefix;

/** `open` is called with a key that the user chose. */
export function start(open) {
  opened = open;
  const list = byId("list");
  list.addEventListener("keydown", move);
  list.addEventListener("click", (event) => {
    const item = event.target.closest("[role=option]");
    if (item) choose(Number(item.dataset.index));
  });
  byId("previous").addEventListener("click", () => turn(state.trail.slice(0, -1)));
  byId("next").addEventListener("click", () => turn([...state.trail, state.next]));
  byId("stop").addEventListener("click", () => loading?.abort());
}

/** Shows the first page of a bucket's keys with a prefix. */
export function show(bucket, prefix) {
  Object.assign(state, { bucket, prefix, keys: [], next: null, active: -1, fresh: new Set() });
  byId("bucket").value = bucket;
  byId("prefix").value = prefix;
  for (const button of byId("buckets").children) button.setAttribute("aria-pressed", button.value === bucket);
  return turn([null]);
}

/** Marks the key whose value is shown. */
export function mark(key) {
  state.open = key;
  if (key !== null && state.keys.includes(key)) state.active = state.keys.indexOf(key);
  render();
}

async function turn(trail) {
  loading?.abort();
  const mine = (loading = new AbortController());
  Object.assign(state, { trail, keys: [], next: null, active: -1, fresh: new Set() });
  byId("stop").hidden = false;
  render();
  await attempt(async () => {
    await load(mine.signal, (page) => {
      Object.assign(state, { keys: page.keys, next: page.next });
      byId("listed").textContent = `${count(page.read)} read, ${page.keys.length} found…`;
    });
  });
  if (loading !== mine) return;
  loading = null;
  byId("stop").hidden = true;
  if (state.keys.length) state.active = Math.max(0, state.keys.indexOf(state.open));
  render();
}

/** Reads the page that the trail leads to. What is there so far is passed to `each`. */
async function load(signal, each) {
  const page = { keys: [], next: state.trail.at(-1), read: 0 };
  const found = new Set();
  const { bucket, prefix } = state;
  do {
    const answer = await call("keys", { bucket, prefix, cursor: page.next }, null, signal);
    signal.throwIfAborted();
    for (const key of answer.keys) found.add(key);
    page.next = answer.cursor;
    page.read += answer.read;
    page.keys = [...found].sort();
    each(page);
  } while (page.next !== null && page.keys.length < ENOUGH);
  return page;
}

/** Whether what may have changed may be keys of this page. */
export function concerns(since) {
  const known = new Set(state.keys);
  const added = (key) => key.startsWith(state.prefix) && !known.has(key);
  return since.all || [...since.set].some(added) || [...since.deleted].some((key) => known.has(key));
}

/** Looks whether others have added or deleted keys of this page. False if it could not, because the page is being loaded. */
export async function refresh() {
  if (loading) return false;
  const mine = new AbortController();
  const before = state.trail;
  let page = await load(mine.signal, () => {});
  // Another page was asked for meanwhile, and has what changed before that.
  if (loading || state.trail !== before) return true;
  const same = page.next === state.next && page.keys.length === state.keys.length;
  if (same && page.keys.every((key, i) => key === state.keys[i])) return true;
  const active = state.keys[state.active];
  const known = new Set(state.keys);
  for (const key of page.keys) if (!known.has(key)) state.fresh.add(key);
  Object.assign(state, { keys: page.keys, next: page.next });
  state.active = Math.max(page.keys.indexOf(active), Math.min(state.active, page.keys.length - 1));
  render();
  return true;
}

/** After this page has written a key itself. */
export async function changed() {
  await attempt(refresh);
}

const count = (n) => (n === 1 ? "1 key" : `${n.toLocaleString("en")} keys`);

function summary() {
  if (loading) return "…";
  const some = state.prefix ? ` with this prefix` : "";
  const first = state.trail.length === 1, last = state.next === null;
  if (!state.keys.length && first && last) {
    return some ? `no key begins with this prefix` : "this bucket is empty; its first key creates it";
  }
  return count(state.keys.length) + some + (first && last ? "" : last ? ", the last page" : ", and more on the next page");
}

function render() {
  const list = byId("list");
  const focused = list.contains(document.activeElement);
  const top = list.scrollTop;
  list.replaceChildren(
    ...state.keys.map((key, i) => {
      const item = element("li", { id: `key-${i}`, role: "option", "data-index": i }, shown(key));
      item.setAttribute("aria-selected", i === state.active);
      item.classList.toggle("fresh", state.fresh.has(key));
      item.classList.toggle("open", key === state.open);
      return item;
    }),
  );
  list.scrollTop = top;
  if (focused) list.focus();
  point();
  byId("listed").textContent = summary();
  byId("number").textContent = `page ${state.trail.length}`;
  byId("previous").disabled = state.trail.length === 1;
  byId("next").disabled = state.next === null;
}

/** Tells assistive technology which key is the active one. */
function point() {
  const item = byId(`key-${state.active}`);
  if (item) byId("list").setAttribute("aria-activedescendant", item.id);
  else byId("list").removeAttribute("aria-activedescendant");
  return item;
}

function move(event) {
  const last = state.keys.length - 1;
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
  if (event.key === "Enter" && state.keys[state.active] !== undefined) {
    event.preventDefault();
    choose(state.active);
  } else if (event.key in steps && last >= 0) {
    event.preventDefault();
    byId(`key-${state.active}`)?.setAttribute("aria-selected", false);
    state.active = Math.min(last, Math.max(0, state.active + steps[event.key]));
    const item = point();
    item.setAttribute("aria-selected", true);
    item.scrollIntoView({ block: "nearest" });
  }
}

function choose(index) {
  state.active = index;
  state.fresh.delete(state.keys[index]);
  opened(state.keys[index]);
}
