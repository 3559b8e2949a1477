// What a value is, and how its bytes become text and back. Nothing here touches the page.

const IMAGES = [
  ["image/png", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
  ["image/jpeg", [0xff, 0xd8, 0xff]],
  ["image/gif", [0x47, 0x49, 0x46, 0x38]],
  ["image/bmp", [0x42, 0x4d, null, null, null, null, 0, 0, 0, 0]],
  ["image/webp", [0x52, 0x49, 0x46, 0x46, null, null, null, null, 0x57, 0x45, 0x42, 0x50]],
  ["image/avif", [0, 0, 0, null, 0x66, 0x74, 0x79, 0x70, 0x61, 0x76, 0x69, 0x66]],
];

/** The media type of an image, by its first bytes; `null` for anything else. */
export function image(bytes) {
  const begins = (magic) => bytes.length > magic.length && magic.every((byte, i) => byte === null || bytes[i] === byte);
  return IMAGES.find(([, magic]) => begins(magic))?.[0] ?? null;
}

/** The text of UTF-8 without control characters; `null` if it is not that. `whole` is false for the beginning of a value. */
export function text(bytes, whole = true) {
  let decoded;
  try {
    decoded = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: !whole });
  } catch {
    return null;
  }
  return /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/u.test(decoded) ? null : decoded;
}

/** Whether a text is a counter: decimal, in canonical form, of 64 bits with a sign. */
export function isCounter(decoded) {
  if (!/^(0|-?[1-9][0-9]{0,18})$/.test(decoded)) return false;
  const number = BigInt(decoded);
  return number >= -(2n ** 63n) && number < 2n ** 63n;
}

/** Whether a text is a JSON object or array. */
export function isJson(decoded) {
  if (!/^\s*[[{]/.test(decoded)) return false;
  try {
    JSON.parse(decoded);
    return true;
  } catch {
    return false;
  }
}

/** The kinds in which a value can be shown, the best one first. */
export function kinds(bytes, whole) {
  const found = [];
  if (image(bytes)) found.push("image");
  const decoded = text(bytes, whole);
  if (decoded !== null) {
    if (whole && isCounter(decoded)) found.push("counter");
    if (whole && isJson(decoded)) found.push("json");
    found.push("text");
  }
  found.push("hex");
  return found;
}

/** JSON with line breaks and indentation. Its tokens stay as they are written: a number that JavaScript cannot represent
 *  keeps its digits, and a key that occurs twice stays there twice. */
export function pretty(json) {
  const tokens = json.match(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/g) ?? [];
  let out = "", depth = 0;
  const line = () => "\n" + "  ".repeat(depth);
  tokens.forEach((token, i) => {
    const previous = tokens[i - 1];
    if (token === "]" || token === "}") {
      depth -= 1;
      out += (previous === "[" || previous === "{" ? "" : line()) + token;
      return;
    }
    if (previous === "[" || previous === "{" || previous === ",") out += line();
    out += token === ":" ? ": " : token;
    if (token === "[" || token === "{") depth += 1;
  });
  return out;
}

const hex = (byte) => byte.toString(16).padStart(2, "0");

/** Lines of an offset, 16 bytes and their characters. */
export function dump(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const left = row.slice(0, 8).map(hex).join(" "), right = row.slice(8).map(hex).join(" ");
    const letters = row.map((byte) => (byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${left.padEnd(23)}  ${right.padEnd(23)}  ${letters}`);
  }
  return lines.join("\n");
}

/** Bytes as hexadecimal digits, to be edited. */
export function digits(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) lines.push([...bytes.subarray(at, at + 16)].map(hex).join(" "));
  return lines.join("\n");
}

/** The bytes of hexadecimal digits. Throws what is wrong with them. */
export function undigits(written) {
  const bare = written.replace(/\s+/g, "");
  const wrong = bare.search(/[^0-9a-fA-F]/);
  if (wrong >= 0) throw new Error(`“${bare[wrong]}” is not a hexadecimal digit`);
  if (bare.length % 2) throw new Error("a byte has two digits, and the last one has only one");
  return Uint8Array.from(bare.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** How the lines of a text end, if a text area can keep that: it makes every line end a line feed. */
export function lineEnd(decoded) {
  if (!decoded.includes("\r")) return "\n";
  return decoded.replaceAll("\r\n", "").match(/[\r\n]/) ? null : "\r\n";
}

/** A name for a file with the value of a key. */
export function fileName(key) {
  const last = key.split(/[/\\]/).pop().replace(/[^\w.\- ]/g, "_").replace(/^\.+/, "").slice(0, 100);
  return last || "value";
}
