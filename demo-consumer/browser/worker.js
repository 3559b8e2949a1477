// Runs components that jco transpiled, in a worker: each message is one thing to do, and is answered.
//
//     { module, folder?, arguments, environment? }   runs a command: { code, stdout, stderr }
//     { module, folder?, path, environment? }        asks a handler: { status, body }
//
// `folder` names the store's files in OPFS; without it there is only `:memory:`. An error is { error }.

import { _setArgs, _setEnv, _setStderr, _setStdout } from "./wasi/cli.js";
import { handleIncomingRequest } from "./wasi/http.js";
import { grant } from "./opfs.js";

// A program can only be started once, and a browser makes a module anew for every address.
let loaded = 0;
const load = (module) => import(`./${module}?${(loaded += 1)}`);

// Collects what is written.
function collector() {
  const decoder = new TextDecoder();
  let text = "";
  const handler = {
    write: (bytes) => void (text += decoder.decode(bytes, { stream: true })),
    blockingFlush() {},
  };
  return { handler, text: () => text + decoder.decode() };
}

async function command({ module, arguments: words }) {
  const [stdout, stderr] = [collector(), collector()];
  _setArgs(["app", ...words]);
  _setStdout(stdout.handler);
  _setStderr(stderr.handler);
  const { run } = await load(module);
  let code = 0;
  try {
    run.run();
  } catch (error) {
    // A trap is neither of these.
    if (!error.exitError && !("payload" in error)) throw error;
    code = error.code ?? 1;
  }
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

// One instance answers all requests.
const handlers = new Map();

async function handler({ module, path }) {
  if (!handlers.has(module)) handlers.set(module, (await load(module)).incomingHandler);
  const answer = await handleIncomingRequest(new Request(new URL(path, self.location)), handlers.get(module));
  return { status: answer.status, body: await answer.text() };
}

async function perform(message) {
  _setEnv(message.environment ?? {});
  if (message.path === undefined) {
    const data = message.folder && (await grant(message.folder));
    try {
      return await command(message);
    } finally {
      data?.close();
    }
  }
  // The handler keeps what it has open.
  if (message.folder && !handlers.has(message.module)) await grant(message.folder);
  return handler(message);
}

// One after the other: they share the files.
let last = Promise.resolve();

self.onmessage = ({ data: { id, ...message } }) => {
  last = last.then(async () => {
    try {
      self.postMessage({ id, ...(await perform(message)) });
    } catch (error) {
      self.postMessage({ id, error: String(error?.message ?? error) });
    }
  });
};
