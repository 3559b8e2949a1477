// Editing a value, and creating one.

import { call, Conflict } from "./api.js";
import { ask, attempt, byId, element, shown, size } from "./dom.js";
import { digits, dump, isJson, pretty, text, undigits } from "./kinds.js";
import * as value from "./value.js";

/** How the value that is edited becomes bytes again; `null` while nothing is edited. */
let editor = null;

export const isEditing = () => editor !== null;

export function start(created) {
  byId("edit").addEventListener("click", edit);
  byId("cancel").addEventListener("click", cancel);
  byId("format").addEventListener("click", () => {
    if (isJson(byId("text").value)) byId("text").value = pretty(byId("text").value);
    else byId("invalid").textContent = "this is not valid JSON, so it cannot be formatted";
  });
  byId("editor").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(save);
  });
  byId("new").addEventListener("click", create);
  byId("create").querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    store(created);
  });
  byId("create").querySelector("[data-close]").addEventListener("click", () => byId("create").close());
}

/** Begins to edit what is shown, as it is shown. */
export function edit() {
  const how = value.current() && !isEditing() && value.editable();
  if (!how) return;
  const { kind, bytes } = value.current();
  editor = { kind, how };
  byId("text").value = how.decoded === null ? digits(bytes) : how.decoded;
  byId("text").classList.toggle("hex", how.decoded === null);
  byId("invalid").textContent = "";
  byId("format").hidden = kind !== "json";
  byId("editor").hidden = false;
  value.redraw();
  byId("text").focus();
}

/** Whether the text area has something else than the value. */
function dirty() {
  const { bytes } = value.current();
  const { how } = editor;
  const before = how.decoded === null ? digits(bytes) : how.decoded.replaceAll("\r\n", "\n");
  return byId("text").value !== before;
}

/** Leaves the editor. Asks before something is lost; returns whether it was left. */
export async function leave() {
  if (!isEditing()) return true;
  if (dirty()) {
    const choice = await ask(
      "Discard your changes?",
      ["What you have written is not saved."],
      [["yes", "Discard", "danger"], ["no", "Keep editing", "main"]],
    );
    if (choice !== "yes") return false;
  }
  end();
  return true;
}

async function cancel() {
  if (await leave()) byId("edit").focus();
}

function end() {
  editor = null;
  byId("editor").hidden = true;
  byId("text").value = "";
  byId("changed").hidden = true;
  value.redraw();
}

function edited() {
  const { how } = editor;
  const written = byId("text").value;
  if (how.decoded === null) return undigits(written);
  return new TextEncoder().encode(how.end === "\r\n" ? written.replaceAll("\n", "\r\n") : written);
}

export async function save() {
  if (!isEditing()) return;
  let bytes;
  try {
    bytes = edited();
  } catch (e) {
    byId("invalid").textContent = e.message;
    return;
  }
  if (editor.kind === "json" && !isJson(byId("text").value)) {
    const choice = await ask(
      "This is no longer valid JSON",
      ["The value was a JSON object or array. Save your text anyway?"],
      [["yes", "Save", "danger"], ["no", "Keep editing", "main"]],
    );
    if (choice !== "yes") return;
  }
  try {
    await value.set(bytes);
  } catch (e) {
    if (!(e instanceof Conflict)) throw e;
    return conflict(bytes);
  }
  end();
  byId("edit").focus();
}

/** Shows another user's value beside this user's. Nothing was stored. */
async function conflict(mine) {
  const { bucket, key } = value.current();
  const theirs = await call("get", { bucket, key, limit: 1 << 20 });
  const deleted = theirs.version === null;
  const pane = (title, bytes, all) =>
    element("section", {}, element("h3", {}, title), element("p", {}, size(all)), element("pre", { tabIndex: 0 }, sample(bytes)));
  const choice = await ask(
    deleted ? "Somebody else has deleted this key" : "Somebody else has changed this key",
    ["Nothing was saved. Keep editing, and your next save replaces their value; or take theirs."],
    [["mine", "Keep editing mine", "main"], ["theirs", deleted ? "Leave it deleted" : "Take theirs", "danger"]],
    [element("div", { className: "panes" },
      deleted ? element("section", {}, element("h3", {}, "Theirs"), element("p", {}, "deleted")) : pane("Theirs", theirs.value, theirs.size),
      pane("Yours", mine, mine.length))],
  );
  if (choice === "theirs") {
    end();
    return value.again();
  }
  if (choice === "mine") {
    // The user has seen this, so a save may replace it.
    const { version, size: all, value: bytes } = theirs;
    value.take({ version, size: all, bytes, whole: bytes.length === all });
    byId("changed").hidden = true;
  }
  byId("text").focus();
}

function sample(bytes) {
  const written = text(bytes.subarray(0, 4000), bytes.length <= 4000);
  return written ?? dump(bytes.subarray(0, 512));
}

function create() {
  for (const id of ["create-key", "create-text", "create-file"]) byId(id).value = "";
  byId("create-problem").replaceChildren();
  byId("create-key").value = byId("prefix").value;
  byId("create").showModal();
}

/** Stores a new key. One that exists is left as it is. */
async function store(created) {
  const bucket = byId("create").dataset.bucket;
  const key = byId("create-key").value;
  const [file] = byId("create-file").files;
  const bytes = file ? new Uint8Array(await file.arrayBuffer()) : new TextEncoder().encode(byId("create-text").value);
  try {
    await call("set", { bucket, key, seen: null }, bytes);
  } catch (e) {
    const exists = e instanceof Conflict;
    byId("create-problem").replaceChildren(...(exists ? ["The key ", shown(key), " already exists. It was not changed."] : [e.message]));
    return;
  }
  byId("create").close();
  created(key);
}
