// wasi:filesystem over OPFS, for components that jco transpiled, in a worker:
//
//     jco transpile app.wasm --map 'wasi:filesystem/*=./opfs.js#*' …
//
//     import { grant } from "./opfs.js";
//     const data = await grant("data");       // before the component is loaded
//     const { run } = await import("./app.js");
//     run.run();
//     data.close();                           // now another tab may have it
//
// One worker of the origin at a time has the files of a name open; `grant` fails in another one. There are no links and no times,
// and directories cannot be renamed.

import { inputStreamCreate, ioErrorCreate, outputStreamCreate } from "./wasi/io.js";
import { DIRECTORY, FILE, LONGEST_NAME, Pool } from "./pool.js";

// Files that can be created before `more` has to be called.
const SPARE = 64;

let granted = [];

export async function grant(folder, path = "/") {
  const pool = await Pool.open(folder, SPARE);
  granted = [[new Descriptor(pool, "", undefined), path]];
  return {
    // Makes files for those that were used up.
    more: () => pool.grow(SPARE),
    close() {
      granted = [];
      pool.close();
    },
  };
}

export const preopens = { getDirectories: () => [...granted] };

const never = { seconds: 0n, nanoseconds: 0 };
const symbolDispose = Symbol.dispose ?? Symbol.for("dispose");

// What the browser throws, as a code of WASI.
function attempt(action) {
  try {
    return action();
  } catch (error) {
    throw error?.name === "QuotaExceededError" ? "insufficient-space" : "io";
  }
}

// The same for a stream, whose errors have the code inside.
function attemptOnStream(action) {
  try {
    return attempt(action);
  } catch (code) {
    throw { tag: "last-operation-failed", val: Object.assign(ioErrorCreate(code), { code }) };
  }
}

class DirectoryEntryStream {
  #entries;

  constructor(entries) {
    this.#entries = entries;
  }

  readDirectoryEntry() {
    return this.#entries.shift();
  }
}

const typeOf = (kind) => (kind === FILE ? "regular-file" : "directory");

class Descriptor {
  #pool;
  // The path of a directory. A file is its slot alone, so that it may be renamed or deleted while it is open.
  #path;
  #slot;
  #flags;

  constructor(pool, path, slot, flags = { read: true, write: true, mutateDirectory: true }) {
    [this.#pool, this.#path, this.#slot, this.#flags] = [pool, path, slot, flags];
    if (slot) slot.users += 1;
  }

  [symbolDispose]() {
    if (this.#slot) this.#pool.dropped(this.#slot);
    this.#slot = undefined;
    this.#path = undefined;
  }

  #file() {
    if (this.#path !== undefined) throw "is-directory";
    if (!this.#slot) throw "bad-descriptor";
    return this.#slot;
  }

  #writable() {
    if (!this.#flags.write) throw "bad-descriptor";
    return this.#file();
  }

  // The name in the pool of what a path means here.
  #name(path) {
    if (this.#path === undefined) throw "not-directory";
    if (path.startsWith("/")) throw "not-permitted";
    const parts = this.#path === "" ? [] : this.#path.split("/");
    const base = parts.length;
    for (const part of path.split("/")) {
      if (part === "" || part === ".") continue;
      if (part !== "..") parts.push(part);
      else if (parts.length === base) throw "not-permitted";
      else parts.pop();
    }
    const name = parts.join("/");
    if (new TextEncoder().encode(name).length > LONGEST_NAME) throw "name-too-long";
    return name;
  }

  #found(name) {
    const slot = this.#pool.get(name);
    if (!slot) throw "no-entry";
    return slot;
  }

  #create(name, kind) {
    const parent = name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : "";
    if (parent !== "" && this.#found(parent).kind !== DIRECTORY) throw "not-directory";
    const slot = attempt(() => this.#pool.create(name, kind));
    if (!slot) throw "insufficient-space";
    return slot;
  }

  openAt(_pathFlags, path, openFlags, flags) {
    const name = this.#name(path);
    if (name === "") return new Descriptor(this.#pool, "", undefined, flags);
    let slot = this.#pool.get(name);
    if (slot && openFlags.create && openFlags.exclusive) throw "exist";
    if (!slot) {
      if (!openFlags.create) throw "no-entry";
      slot = this.#create(name, FILE);
    }
    if (slot.kind === DIRECTORY) {
      if (flags.write) throw "is-directory";
      return new Descriptor(this.#pool, name, undefined, flags);
    }
    if (openFlags.directory) throw "not-directory";
    if (openFlags.truncate) attempt(() => slot.resize(0));
    return new Descriptor(this.#pool, undefined, slot, flags);
  }

  createDirectoryAt(path) {
    const name = this.#name(path);
    if (name === "" || this.#pool.get(name)) throw "exist";
    this.#create(name, DIRECTORY);
  }

  readDirectory() {
    if (this.#path === undefined) throw "not-directory";
    const entries = this.#pool.below(this.#path);
    return new DirectoryEntryStream(entries.map(({ name, kind }) => ({ name, type: typeOf(kind) })));
  }

  removeDirectoryAt(path) {
    const name = this.#name(path);
    const slot = this.#found(name);
    if (slot.kind !== DIRECTORY) throw "not-directory";
    if (this.#pool.below(name).length > 0) throw "not-empty";
    attempt(() => this.#pool.delete(slot));
  }

  unlinkFileAt(path) {
    const slot = this.#found(this.#name(path));
    if (slot.kind === DIRECTORY) throw "is-directory";
    attempt(() => this.#pool.delete(slot));
  }

  renameAt(oldPath, directory, newPath) {
    const slot = this.#found(this.#name(oldPath));
    const name = directory.#name(newPath);
    if (slot.kind === DIRECTORY) throw "unsupported";
    if (this.#pool.get(name)?.kind === DIRECTORY) throw "is-directory";
    attempt(() => this.#pool.rename(slot, name));
  }

  read(length, offset) {
    const slot = this.#file();
    const bytes = attempt(() => slot.read(Number(length), Number(offset)));
    return [bytes, Number(offset) + bytes.byteLength >= slot.size];
  }

  write(bytes, offset) {
    const slot = this.#writable();
    attempt(() => slot.writeAt(bytes, Number(offset)));
    return BigInt(bytes.byteLength);
  }

  readViaStream(start) {
    const slot = this.#file();
    let offset = Number(start);
    return inputStreamCreate({
      blockingRead(length) {
        const bytes = attemptOnStream(() => slot.read(Number(length), offset));
        if (bytes.byteLength === 0 && length > 0n) throw { tag: "closed" };
        offset += bytes.byteLength;
        return bytes;
      },
      drop: this.#used(slot),
    });
  }

  writeViaStream(start) {
    let offset = Number(start);
    return this.#output((slot, bytes) => {
      slot.writeAt(bytes, offset);
      offset += bytes.byteLength;
    });
  }

  appendViaStream() {
    return this.#output((slot, bytes) => slot.append(bytes));
  }

  #output(put) {
    const slot = this.#writable();
    return outputStreamCreate({
      write: (bytes) => attemptOnStream(() => put(slot, bytes)),
      drop: this.#used(slot),
    });
  }

  // A stream has the file open as well. Gives what is to be called when it is dropped.
  #used(slot) {
    const pool = this.#pool;
    slot.users += 1;
    return () => pool.dropped(slot);
  }

  setSize(size) {
    const slot = this.#writable();
    attempt(() => slot.resize(Number(size)));
  }

  sync() {
    if (this.#slot) attempt(() => this.#slot.flush());
  }

  syncData() {
    this.sync();
  }

  advise() {}

  getFlags() {
    return { ...this.#flags };
  }

  getType() {
    return this.#path === undefined ? "regular-file" : "directory";
  }

  // What this is; the root is `undefined`. An open file may have been deleted.
  #own() {
    return this.#path === undefined ? this.#file() : this.#path === "" ? undefined : this.#found(this.#path);
  }

  #at(path) {
    const name = this.#name(path);
    return name === "" ? undefined : this.#found(name);
  }

  #stat(slot) {
    const isFile = slot !== undefined && slot.kind !== DIRECTORY;
    return {
      type: isFile ? "regular-file" : "directory",
      linkCount: 1n,
      size: isFile ? BigInt(slot.size) : 0n,
      dataAccessTimestamp: never,
      dataModificationTimestamp: never,
      statusChangeTimestamp: never,
    };
  }

  stat() {
    return this.#stat(this.#own());
  }

  statAt(_pathFlags, path) {
    return this.#stat(this.#at(path));
  }

  isSameObject(other) {
    return this.#own() === other.#own();
  }

  // A number is given once, so no two files have the same.
  #hash(slot) {
    return { upper: BigInt(slot?.number ?? 0), lower: BigInt(slot?.size ?? 0) };
  }

  metadataHash() {
    return this.#hash(this.#own());
  }

  metadataHashAt(_pathFlags, path) {
    return this.#hash(this.#at(path));
  }

  setTimes() {
    throw "unsupported";
  }

  setTimesAt() {
    throw "unsupported";
  }

  linkAt() {
    throw "unsupported";
  }

  symlinkAt() {
    throw "unsupported";
  }

  readlinkAt() {
    throw "invalid";
  }
}

export const types = { Descriptor, DirectoryEntryStream, filesystemErrorCode: (error) => error.code };
