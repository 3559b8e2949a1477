// The value of one key: what it is, how it is shown, and what can be done with it besides editing it as text.

import { call, Conflict } from "./api.js";
import { ask, attempt, byId, element, shown, size } from "./dom.js";
import * as kinds from "./kinds.js";
import { view } from "./views.js";

/** What is fetched to be shown, in bytes. A larger value is not asked for again by itself. */
const PREVIEW = 1 << 20;
/** Images are shown up to this size. */
const IMAGE = 16 << 20;
/** Hexadecimal digits are edited up to this size. */
const DIGITS = 64 << 10;

/** The key that is shown, and its state as this page has last seen it; `null` without one. */
let now = null;
let editing = () => false;
let wrote = () => {};
/** This page's own writes that are not answered yet. */
let writing = 0;

export const current = () => now;

/** `isEditing` tells whether the user has begun to edit, `hasWritten` is called after each write. */
export function start(isEditing, hasWritten) {
  editing = isEditing;
  wrote = hasWritten;
  byId("download").addEventListener("click", () => attempt(download));
  byId("delete").addEventListener("click", () => attempt(remove));
  byId("less").addEventListener("click", () => attempt(() => count(-1n)));
  byId("more").addEventListener("click", () => attempt(() => count(1n)));
  byId("upload").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) attempt(() => upload(file)).finally(() => (event.target.value = ""));
  });
  const place = byId("value");
  place.addEventListener("dragover", (event) => event.preventDefault());
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file && now && !editing()) attempt(() => upload(file));
  });
}

/** Shows a key. */
export async function show(bucket, key) {
  const found = await fetched(bucket, key);
  now = { bucket, key, kind: null, ...found };
  byId("value").hidden = false;
  byId("changed").hidden = true;
  byId("key").replaceChildren(shown(key));
  render();
  byId("key").focus();
}

export function close() {
  now = null;
  byId("value").hidden = true;
}

async function fetched(bucket, key, unless = null) {
  const get = (limit) => call("get", { bucket, key, limit, unless });
  let answer = await get(PREVIEW);
  if (answer.same) return null;
  if (answer.size > PREVIEW && answer.size <= IMAGE && kinds.image(answer.value)) answer = await get(IMAGE);
  const { version, size, value } = answer;
  return { version, size, bytes: value, whole: value.length === size };
}

/** Takes over another state of the key: what this page has written, or what somebody else has. */
export function take(state) {
  now = { ...now, ...state };
  render();
}

/** Reads the key again, for what it is now. */
export async function again() {
  take(await fetched(now.bucket, now.key));
}

/** Looks whether somebody else has changed the key. False if it could not be told from a write of this page. */
export async function refresh() {
  const before = now;
  if (!before || before.size > PREVIEW) return true;
  if (writing) return false;
  const found = await fetched(before.bucket, before.key, before.version ?? "");
  if (writing) return false;
  if (!found || now !== before || found.version === before.version) return true;
  const what = found.version === null ? "deleted" : "changed";
  if (editing()) {
    tell(`Somebody else has ${what} this key since you began to edit. Saving will show both.`);
  } else {
    take(found);
    tell(`Somebody else has ${what} this key just now.`);
  }
  return true;
}

/** Writes, and takes over what the key is then. */
async function own(write) {
  writing++;
  try {
    return await write();
  } finally {
    writing--;
  }
}

function tell(text) {
  byId("changed").textContent = text;
  byId("changed").hidden = false;
}

/** The kinds of the present value; its text where it has one. */
export function offered() {
  return now.version === null ? [] : kinds.kinds(now.bytes, now.whole);
}

/** How the value is edited: as text with these line ends, or as hexadecimal digits; `null` if it is not. */
export function editable() {
  if (!now.whole || now.version === null) return null;
  const decoded = now.kind === "hex" || now.kind === "image" ? null : kinds.text(now.bytes);
  const end = decoded === null ? null : kinds.lineEnd(decoded);
  if (end !== null) return { decoded, end };
  return now.kind === "hex" && now.size <= DIGITS ? { decoded: null } : null;
}

function render() {
  const all = offered();
  if (!all.includes(now.kind)) now.kind = all[0] ?? null;
  byId("about").textContent = now.version === null ? "this key does not exist (any more)" : size(now.size);
  byId("kinds").replaceChildren(
    ...all.map((kind) => {
      const button = element("button", { type: "button", value: kind }, kind);
      button.setAttribute("aria-pressed", kind === now.kind);
      button.addEventListener("click", () => take({ kind }));
      return button;
    }),
  );
  byId("kinds").hidden = all.length < 2 || editing();
  byId("shown").hidden = editing();
  byId("actions").hidden = editing();
  if (now.kind) view(now.kind, now.bytes, now.whole, kinds.image(now.bytes));
  else byId("shown").replaceChildren();
  byId("count").hidden = now.kind !== "counter";
  byId("edit").hidden = !editable();
  for (const id of ["download", "delete"]) byId(id).hidden = now.version === null;
}

/** Draws it again, after editing began or ended. */
export const redraw = () => now && render();

/** Sets the key, if it still is as this page has seen it. Throws `Conflict`. */
export async function set(bytes) {
  const { bucket, key, version: seen } = now;
  await own(async () => {
    const { version, size } = await call("set", { bucket, key, seen }, bytes);
    byId("changed").hidden = true;
    if (size <= PREVIEW) take({ version, size, bytes, whole: true });
    else take(await fetched(bucket, key));
  });
  wrote();
}

async function download() {
  const { bucket, key } = now;
  const { version, value } = await call("get", { bucket, key });
  if (version === null) return again();
  const href = URL.createObjectURL(new Blob([value], { type: "application/octet-stream" }));
  const link = element("a", { href, download: kinds.fileName(key) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

async function upload(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  try {
    await set(bytes);
  } catch (e) {
    if (!(e instanceof Conflict)) throw e;
    await again();
    const choice = await ask(
      "Somebody else has changed this key",
      ["It is no longer the value that you saw, so the file was not stored. The current value is shown now."],
      [["mine", "Replace it with the file", "danger"], ["theirs", "Keep the current value", "main"]],
    );
    if (choice === "mine") await upload(file);
  }
}

async function remove() {
  const { bucket, key, version: seen } = now;
  const choice = await ask("Delete this key?", [shown(key)], [["yes", "Delete", "danger"], ["no", "Keep", ""]]);
  if (choice !== "yes") return;
  try {
    await own(async () => {
      await call("delete", { bucket, key, seen });
      take({ version: null, size: 0, bytes: new Uint8Array(), whole: true });
    });
  } catch (e) {
    if (!(e instanceof Conflict)) throw e;
    await again();
    throw new Error("Somebody else has changed this key since you saw it, so it was not deleted. The current value is shown now.");
  }
  wrote();
}

async function count(sign) {
  const step = byId("step").value.trim();
  if (!/^-?[0-9]+$/.test(step)) throw new Error("the step is not a whole number");
  const { bucket, key } = now;
  await own(async () => {
    await call("increment", { bucket, key, delta: String(sign * BigInt(step)) });
    await again();
  });
}
