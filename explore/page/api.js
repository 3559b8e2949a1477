// Requests to the explorer. A message is a line of JSON and, behind a line feed, the bytes of a value.

/** Why a request has no answer. `status` is 0 if there was none at all. */
export class Problem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The key is not as this page has seen it, so nothing was done. `state` is how it is. */
export class Conflict extends Error {
  constructor(state) {
    super("the key was changed by somebody else");
    this.state = state;
  }
}

/** Asks for `api/<name>`. Returns the answer's JSON, and the value behind it. */
export async function call(name, head = {}, value = null, signal = undefined) {
  const line = JSON.stringify(head) + "\n";
  return answered(async () => {
    const response = await post(name, value === null ? line : new Blob([line, value]), signal);
    return [response, new Uint8Array(await response.arrayBuffer())];
  });
}

/** Calls `each` with what the explorer tells of changes in a bucket, until it ends. */
export async function changes(bucket, signal, each) {
  const response = await post("changes", JSON.stringify({ bucket }) + "\n", signal);
  if (!response.ok) {
    await answered(async () => [response, new Uint8Array(await response.arrayBuffer())]);
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) each(JSON.parse(line));
  }
}

const post = (name, body, signal) => fetch("api/" + name, { method: "POST", body, signal, cache: "no-store" });

async function answered(ask) {
  let response, bytes;
  try {
    [response, bytes] = await ask();
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new Problem(0, "the explorer does not answer: is it still running?");
  }
  const end = bytes.indexOf(10);
  let answer;
  try {
    answer = JSON.parse(new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end)));
  } catch {
    const text = new TextDecoder().decode(bytes.subarray(0, 1000)).trim();
    throw new Problem(response.status, text || `the explorer answered with the status ${response.status}`);
  }
  if (response.status === 409) throw new Conflict(answer);
  if (!response.ok) throw new Problem(response.status, answer.error ?? `status ${response.status}`);
  return { ...answer, value: end < 0 ? new Uint8Array() : bytes.subarray(end + 1) };
}
