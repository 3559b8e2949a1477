// The page: its views, its address and its keyboard.

import { call } from "./api.js";
import { attempt, byId, element, shown } from "./dom.js";
import * as edit from "./edit.js";
import * as keys from "./keys.js";
import { live, turn } from "./live.js";
import * as statistics from "./statistics.js";
import * as value from "./value.js";

/** Longer keys are not put into the address. */
const ADDRESS = 1000;

/** The address's fragment says what is shown, so that going back and reloading work. */
function address(key) {
  const fragment = new URLSearchParams({ bucket: keys.bucket() });
  if (keys.prefix()) fragment.set("prefix", keys.prefix());
  if (key !== null && key.length <= ADDRESS) fragment.set("key", key);
  return "#" + fragment;
}

async function follow() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const bucket = fragment.get("bucket") ?? "default", prefix = fragment.get("prefix") ?? "", key = fragment.get("key");
  if (!(await edit.leave())) return;
  const elsewhere = bucket !== keys.bucket() || prefix !== keys.prefix();
  if (elsewhere || !started) await show(bucket, prefix);
  if (key === null) closed();
  else await attempt(() => value.show(bucket, key));
  views();
}
let started = false;

/** The user chose a key. */
async function open(key) {
  if (!(await edit.leave())) return;
  await attempt(async () => {
    await value.show(keys.bucket(), key);
    history.pushState(null, "", address(key));
  });
  views();
}

function show(bucket, prefix) {
  const shown = keys.show(bucket, prefix);
  turn(bucket);
  return shown;
}

function closed() {
  value.close();
  views();
}

async function back() {
  if (!(await edit.leave())) return;
  closed();
  history.pushState(null, "", address(null));
  byId("list").focus();
}

async function list(bucket, prefix) {
  if (!(await edit.leave())) return;
  value.close();
  views();
  await show(bucket, prefix);
  history.pushState(null, "", address(null));
}

function views() {
  const shown = value.current();
  byId("data").classList.toggle("one", shown !== null);
  keys.mark(shown?.key ?? null);
}

async function buckets() {
  const { buckets } = await call("buckets");
  const button = (name) => {
    const made = element("button", { type: "button", value: name }, shown(name));
    made.setAttribute("aria-pressed", name === keys.bucket());
    made.addEventListener("click", () => list(name, ""));
    return made;
  };
  const place = byId("buckets");
  const before = [...place.children].map((made) => made.value);
  if (before.length === buckets.length && before.every((name, i) => name === buckets[i])) return;
  place.replaceChildren(...buckets.map(button));
  place.hidden = buckets.length === 0;
}

function shortcut(event) {
  if (document.querySelector("dialog[open]")) return;
  if ((event.ctrlKey || event.metaKey) && event.key === "s" && edit.isEditing()) {
    event.preventDefault();
    attempt(edit.save);
    return;
  }
  if (event.key === "Escape" && value.current()) {
    event.preventDefault();
    if (edit.isEditing()) byId("cancel").click();
    else back();
    return;
  }
  const typing = event.target.closest("input, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || byId("data").hidden) return;
  const shown = value.current() !== null;
  const actions = {
    "/": () => byId("prefix").focus(),
    b: () => byId("bucket").focus(),
    n: () => byId("new").click(),
    e: () => shown && edit.edit(),
    Delete: () => shown && !byId("delete").hidden && byId("delete").click(),
    "?": () => byId("help").click(),
  };
  if (!(event.key in actions)) return;
  event.preventDefault();
  actions[event.key]();
}

function look(statisticsToo) {
  byId("data").hidden = statisticsToo;
  byId("statistics").hidden = !statisticsToo;
  byId("show-keys").setAttribute("aria-pressed", !statisticsToo);
  byId("show-statistics").setAttribute("aria-pressed", statisticsToo);
  if (statisticsToo) statistics.look();
}

async function start() {
  keys.start(open);
  value.start(edit.isEditing, keys.changed);
  edit.start(async (key) => {
    await keys.changed();
    open(key);
  });
  statistics.start();
  byId("where").addEventListener("submit", (event) => {
    event.preventDefault();
    list(byId("bucket").value || "default", byId("prefix").value);
  });
  byId("new").addEventListener("click", () => (byId("create").dataset.bucket = keys.bucket()));
  byId("back").addEventListener("click", back);
  byId("show-keys").addEventListener("click", () => look(false));
  byId("show-statistics").addEventListener("click", async () => (await edit.leave()) && look(true));
  byId("help").addEventListener("click", () => byId("shortcuts").showModal());
  addEventListener("keydown", shortcut);
  addEventListener("popstate", () => attempt(follow));
  addEventListener("beforeunload", (event) => edit.isEditing() && event.preventDefault());

  const about = await attempt(() => call("about"));
  byId("store").textContent = about?.store ?? "";
  if (about?.store) document.title = `${about.store} · kvfuse`;
  byId("show-statistics").hidden = !about?.stat;
  await attempt(follow);
  started = true;
  if (about?.buckets) await attempt(buckets);
  live({
    watch: about?.watch,
    buckets: about?.buckets,
    bucket: keys.bucket,
    look: async (since) => {
      if (byId("data").hidden) return false;
      if (keys.concerns(since) && !(await keys.refresh())) return false;
      const open = value.current()?.key;
      const mayDiffer = since.all || since.set.has(open) || since.deleted.has(open);
      if (mayDiffer && !(await value.refresh())) return false;
      if (about?.buckets && (since.all || since.buckets)) await buckets();
      return true;
    },
  });
  document.documentElement.dataset.ready = "";
}

start();
