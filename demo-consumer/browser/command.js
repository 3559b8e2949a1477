// What workers that run components share: running a command, and answering the page.

import { _setArgs, _setStderr, _setStdout } from "./wasi/cli.js";

function collector() {
  const decoder = new TextDecoder();
  let text = "";
  const write = (bytes) => void (text += decoder.decode(bytes, { stream: true }));
  return { handler: { write, blockingFlush() {} }, text: () => text + decoder.decode() };
}

// Runs a command that jco transpiled, and collects what it writes. A worker can run one: a program can only be started once, and
// what a module has is not freed before its worker ends.
export async function command(module, words) {
  const [out, err] = [collector(), collector()];
  _setArgs(words);
  _setStdout(out.handler);
  _setStderr(err.handler);
  const { run } = await import(`./${module}`);
  let code = 0;
  try {
    run.run();
  } catch (error) {
    // A trap is neither of these.
    if (!error.exitError && !("payload" in error)) throw error;
    code = error.code ?? 1;
  }
  return { code, stdout: out.text(), stderr: err.text() };
}

// Answers the messages of the page, one after the other.
export function serve(perform) {
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
}
