// Named files in a fixed set of files of OPFS, for a worker.
//
// WASI's calls are synchronous, and OPFS can only read and write synchronously: to create, rename or delete a file there takes a
// promise. So the files exist beforehand, each with its handle open, and their names are in headers that this module writes.
//
// A header is there twice. The copy with the larger number counts, and a change is written over the other one: a page that is closed
// in the middle of it leaves the name as it was. Numbers are given once, so of two files with one name (a rename over another
// file that was cut off) the one with the larger number counts.

const COPY = 2048;
const HEADER = 2 * COPY;
// What precedes the name in a copy: checksum, number, kind, length of the name.
const FIXED = 4 + 8 + 1 + 2;
export const LONGEST_NAME = COPY - FIXED;
// Milliseconds in which the lock and the files have to be free: those of a page that was reloaded are freed by and by.
const PATIENCE = 2000;
const FREE = 0;
export const FILE = 1;
export const DIRECTORY = 2;

const utf8 = new TextEncoder();

// FNV-1a: it has to find writes that were cut off, not those that mean harm.
function checksum(bytes) {
  let sum = 0x811c9dc5;
  for (const byte of bytes) sum = Math.imul(sum ^ byte, 0x01000193) >>> 0;
  return sum;
}

function encoded(number, kind, name) {
  const bytes = new Uint8Array(FIXED + name.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(4, BigInt(number));
  view.setUint8(12, kind);
  view.setUint16(13, name.length);
  bytes.set(name, FIXED);
  view.setUint32(0, checksum(bytes.subarray(4)));
  return bytes;
}

function decoded(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint16(13);
  if (length > LONGEST_NAME || view.getUint32(0) !== checksum(bytes.subarray(4, FIXED + length))) return undefined;
  const name = new TextDecoder().decode(bytes.subarray(FIXED, FIXED + length));
  return { number: Number(view.getBigUint64(4)), kind: view.getUint8(12), name };
}

// One of the files.
class Slot {
  kind = FREE;
  name = "";
  number = 0;
  // Descriptors that have it open: a deleted file can be read until the last of them is dropped.
  users = 0;

  constructor(handle) {
    this.handle = handle;
    const bytes = new Uint8Array(HEADER);
    handle.read(bytes, { at: 0 });
    for (const copy of [bytes.subarray(0, COPY), bytes.subarray(COPY)]) {
      const header = decoded(copy);
      if (header && header.number > this.number) Object.assign(this, header);
    }
  }

  write(number, kind, name) {
    // Numbers of one slot are alternately even and odd.
    const at = (number % 2) * COPY;
    this.handle.write(encoded(number, kind, utf8.encode(name)), { at });
    this.handle.flush();
    Object.assign(this, { number, kind, name });
  }

  get size() {
    return Math.max(0, this.handle.getSize() - HEADER);
  }

  read(length, offset) {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.size - offset)));
    const read = this.handle.read(bytes, { at: HEADER + offset });
    return bytes.subarray(0, read);
  }

  append(bytes) {
    this.writeAt(bytes, this.size);
  }

  writeAt(bytes, offset) {
    const written = this.handle.write(bytes, { at: HEADER + offset });
    if (written !== bytes.byteLength) throw new DOMException("a write was cut off", "QuotaExceededError");
  }

  resize(size) {
    this.handle.truncate(HEADER + size);
  }

  flush() {
    this.handle.flush();
  }
}

export class Pool {
  #folder;
  #slots = [];
  #named = new Map();
  #number = 1;
  #release;

  // Opens the pool in this folder of OPFS. One worker of the origin can have it open; another is refused.
  static async open(folder, spare) {
    const pool = new Pool();
    await new Promise((granted, refused) => {
      const held = new Promise((release) => (pool.#release = release));
      const request = { signal: AbortSignal.timeout(PATIENCE) };
      const locked = () => (granted(), held);
      navigator.locks.request(`kvfuse ${folder}`, request, locked).catch((error) => {
        const taken = `"${folder}" is open in another tab of this site: close that one, or use another name`;
        refused(error.name === "TimeoutError" ? new Error(taken) : error);
      });
    });
    try {
      const root = await navigator.storage.getDirectory();
      pool.#folder = await root.getDirectoryHandle(folder, { create: true });
      const names = [];
      for await (const name of pool.#folder.keys()) names.push(name);
      for (const name of names.sort((a, b) => a - b)) await pool.#add(name);
      pool.#settle();
      await pool.grow(spare);
    } catch (error) {
      pool.close();
      throw error;
    }
    return pool;
  }

  async #add(name) {
    const file = await this.#folder.getFileHandle(name, { create: true });
    for (const end = performance.now() + PATIENCE; ; ) {
      try {
        this.#slots.push(new Slot(await file.createSyncAccessHandle()));
        return;
      } catch (error) {
        if (error.name !== "NoModificationAllowedError" || performance.now() > end) throw error;
        await new Promise((later) => setTimeout(later, 20));
      }
    }
  }

  // Of several files with one name, the last one that got it is it.
  #settle() {
    for (const slot of this.#slots) {
      this.#number = Math.max(this.#number, slot.number + 1);
      if (slot.kind === FREE) continue;
      const other = this.#named.get(slot.name);
      if (!other || other.number < slot.number) this.#named.set(slot.name, slot);
    }
    for (const slot of this.#slots) {
      if (slot.kind !== FREE && this.#named.get(slot.name) !== slot) this.#free(slot);
    }
  }

  // Makes files until so many are free.
  async grow(spare) {
    const free = this.#slots.filter((slot) => slot.kind === FREE && slot.users === 0).length;
    for (let missing = spare - free; missing > 0; missing--) await this.#add(String(this.#slots.length));
  }

  // The next number whose copy is not the one that counts.
  #next(slot) {
    if (this.#number % 2 === slot.number % 2) this.#number += 1;
    return this.#number++;
  }

  #free(slot) {
    slot.write(this.#next(slot), FREE, "");
    if (slot.users === 0) slot.resize(0);
  }

  get(name) {
    return this.#named.get(name);
  }

  // The names, with their kinds, of what is directly below this one.
  below(name) {
    const prefix = name === "" ? "" : `${name}/`;
    const all = [...this.#named.values()].filter((slot) => slot.name.startsWith(prefix) && slot.name !== name);
    const rest = all.map((slot) => ({ name: slot.name.slice(prefix.length), kind: slot.kind }));
    return rest.filter((entry) => !entry.name.includes("/"));
  }

  // A new file or directory, or `undefined` if no file is left: `grow` makes more.
  create(name, kind) {
    const slot = this.#slots.find((slot) => slot.kind === FREE && slot.users === 0);
    if (!slot) return undefined;
    slot.resize(0);
    slot.write(this.#next(slot), kind, name);
    this.#named.set(name, slot);
    return slot;
  }

  delete(slot) {
    this.#named.delete(slot.name);
    this.#free(slot);
  }

  rename(slot, name) {
    const replaced = this.#named.get(name);
    if (replaced === slot) return;
    this.#named.delete(slot.name);
    slot.write(this.#next(slot), slot.kind, name);
    this.#named.set(name, slot);
    if (replaced) this.#free(replaced);
  }

  // A descriptor of the slot was dropped.
  dropped(slot) {
    slot.users -= 1;
    if (slot.kind === FREE && slot.users === 0) slot.resize(0);
  }

  close() {
    for (const slot of this.#slots) slot.handle.close();
    this.#slots = [];
    this.#named.clear();
    this.#release();
  }
}
