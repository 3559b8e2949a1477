// Making and filling elements. Text of a store only ever becomes text, never markup.

export const byId = (id) => document.getElementById(id);

/** An element with properties, attributes (`aria-…`, `data-…`, `role`) and children: elements or text. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) {
    if (property in made) made[property] = value;
    else made.setAttribute(property, value);
  }
  made.append(...children);
  return made;
}

// Control characters, and those that are invisible or change the direction of what follows.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/u;
const LONGEST = 300;

/** A key or a name, on one line: what cannot be seen is shown as an escape, and what is long is cut off. */
export function shown(text) {
  const all = document.createDocumentFragment();
  if (text === "") all.append(element("span", { className: "escape" }, "empty"));
  let run = "", count = 0;
  for (const character of text) {
    if (count++ === LONGEST) {
      run += "…";
      break;
    }
    if (!HIDDEN.test(character)) {
      run += character;
      continue;
    }
    all.append(run, element("span", { className: "escape" }, `\\u{${character.codePointAt(0).toString(16)}}`));
    run = "";
  }
  all.append(run);
  return all;
}

export function size(bytes) {
  const exact = `${bytes.toLocaleString("en")} ${bytes === 1 ? "byte" : "bytes"}`;
  if (bytes < 10240) return exact;
  const [unit, name] = bytes < 1048576 ? [1024, "KiB"] : [1048576, "MiB"];
  return `${(bytes / unit).toFixed(1)} ${name} (${exact})`;
}

/** Shows an error above everything, or removes it. */
export function problem(error) {
  const place = byId("problem");
  place.hidden = !error;
  place.textContent = error ? error.message ?? String(error) : "";
}

/** Runs something that the user asked for; what goes wrong is shown. */
export async function attempt(work) {
  problem(null);
  try {
    return await work();
  } catch (e) {
    if (e.name !== "AbortError") problem(e);
    return undefined;
  }
}

/** Asks a question. Each choice is [value, label, class]; Escape answers `null`. */
export function ask(title, text, choices, more = []) {
  byId("ask-title").replaceChildren(title);
  byId("ask-text").replaceChildren(...text);
  byId("ask-more").replaceChildren(...more);
  const button = ([value, label, className]) => element("button", { value, className: className ?? "" }, label);
  byId("ask-buttons").replaceChildren(...choices.map(button));
  const dialog = byId("ask");
  return new Promise((answer) => {
    dialog.returnValue = "";
    dialog.addEventListener("close", () => answer(dialog.returnValue || null), { once: true });
    dialog.showModal();
  });
}
