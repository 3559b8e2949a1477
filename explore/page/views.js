// A value on the page, as each of its kinds.

import { byId, element } from "./dom.js";
import { dump, pretty, text } from "./kinds.js";

/** More than this of a text would make the page slow. */
const TEXT = 256 << 10;
const HEX = 16 << 10;

let address = null;

/** Shows bytes as a kind. `whole` is false where they are the beginning of a value. */
export function view(kind, bytes, whole, type) {
  if (address) URL.revokeObjectURL(address);
  address = null;
  byId("shown").replaceChildren(...VIEWS[kind](bytes, whole, type));
}

const VIEWS = {
  image(bytes, _, type) {
    address = URL.createObjectURL(new Blob([bytes], { type }));
    const picture = element("img", { alt: `The value as a picture (${type})` });
    const about = element("figcaption", {}, type);
    picture.addEventListener("load", () => {
      about.textContent = `${type}, ${picture.naturalWidth} × ${picture.naturalHeight}`;
    });
    picture.addEventListener("error", () => about.replaceChildren(`this is not a valid ${type}: see it as hex`));
    picture.src = address;
    return [element("figure", {}, picture, about)];
  },
  counter: (bytes) => [element("output", { className: "counter" }, text(bytes))],
  json: (bytes) => written(pretty(text(bytes)), true),
  text: (bytes, whole) => written(text(bytes, whole), whole),
  hex: (bytes, whole) => rows(bytes, whole, HEX),
};

function written(all, whole) {
  const part = all.slice(0, TEXT);
  const place = element("pre", { tabIndex: 0 }, part);
  return part.length < all.length || !whole ? [place, cut()] : [place];
}

function rows(bytes, whole, length) {
  const place = element("pre", { tabIndex: 0, className: "hex" }, dump(bytes.subarray(0, length)));
  if (length >= bytes.length) return whole ? [place] : [place, cut()];
  const more = element("button", { type: "button" }, "Show more");
  more.addEventListener("click", () => byId("shown").replaceChildren(...rows(bytes, whole, length * 4)));
  return whole ? [place, more] : [place, more, cut()];
}

const cut = () => element("p", { className: "note" }, "This is the beginning. Download it to see all.");
