/** The interfaces of wasi:keyvalue@0.2.0-draft2. */
export interface KeyValue {
  store: typeof import("./files/interfaces/wasi-keyvalue-store.js");
  atomics: typeof import("./files/interfaces/wasi-keyvalue-atomics.js");
  batch: typeof import("./files/interfaces/wasi-keyvalue-batch.js");
}

/**
 * The file store, with its data in a directory that is made if it is missing. One process at a time may write to a
 * directory; a program uses one directory.
 *
 * @throws if this program has opened another directory before
 */
export function files(directory: string): Promise<KeyValue>;
