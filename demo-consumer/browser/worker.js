// Runs a component that jco transpiled, in a worker: each message is one thing to do, and is answered.
//
//     { module, folder?, arguments, environment? }   runs a command, once: { code, stdout, stderr }
//     { module, folder?, path, environment? }        asks a handler: { status, body }
//
// `folder` names the store's files in OPFS; without it there is only `:memory:`. An error is { error }.

import { _setEnv } from "./wasi/cli.js";
import { handleIncomingRequest } from "./wasi/http.js";
import { command, serve } from "./command.js";
import { grant } from "./opfs.js";

// One instance answers all requests, and keeps what it has open.
let handler;

async function asked({ module, folder, path }) {
  if (!handler) {
    if (folder) await grant(folder);
    handler = (await import(`./${module}`)).incomingHandler.handle;
  }
  const answer = await handleIncomingRequest(new Request(new URL(path, self.location)), handler);
  return { status: answer.status, body: await answer.text() };
}

serve(async (message) => {
  _setEnv(message.environment ?? {});
  if (message.path !== undefined) return asked(message);
  const data = message.folder && (await grant(message.folder));
  try {
    return await command(message.module, ["app", ...message.arguments]);
  } finally {
    data?.close();
  }
});
