// The page: what a component imports, fused with a store, and the demo on the spot.

const $ = (id) => document.getElementById(id);

// What a worker of its own answers to a message.
const asked = (script) => (message) =>
  new Promise((resolve) => {
    const worker = new Worker(script, { type: "module" });
    const answer = (data) => {
      worker.terminate();
      resolve(data);
    };
    worker.onmessage = ({ data }) => answer(data);
    worker.onerror = () => answer({ error: "error: a part of this page does not load: reload it" });
    worker.postMessage(message);
  });

const kvfuse = asked("fuse.js");
const demo = asked("worker.js");

function show(id, text) {
  $(id).hidden = !text;
  $(id).textContent = text;
}

// The file that was chosen last; what is under way for another one is forgotten.
let file;
let link;

// Runs kvfuse, and gives what it left, or shows its error and gives nothing.
async function run(words) {
  const about = file;
  $("busy").hidden = false;
  const answer = await kvfuse({ words, file: about.bytes });
  if (about !== file) return undefined;
  $("busy").hidden = true;
  const plain = (text) => text.replaceAll("/app.fused.wasm", about.fused).replaceAll("/app.wasm", about.name);
  if (answer.code === 0) return { ...answer, stdout: plain(answer.stdout) };
  show("error", plain(answer.error ?? answer.stderr));
  return undefined;
}

function forget() {
  for (const id of ["error", "inspected", "fused"]) show(id, "");
  $("choice").hidden = $("result").hidden = true;
  if (link) URL.revokeObjectURL(link);
  link = undefined;
}

async function open(chosen) {
  forget();
  const bytes = new Uint8Array(await chosen.arrayBuffer());
  file = { name: chosen.name, fused: chosen.name.replace(/(\.wasm)?$/, ".fused.wasm"), bytes };
  const answer = await run(["inspect", "/app.wasm"]);
  if (!answer) return;
  show("inspected", answer.stdout);
  $("choice").hidden = false;
}

async function fuse() {
  for (const id of ["error", "fused"]) show(id, "");
  $("result").hidden = true;
  const form = $("form").value;
  const answer = await run(["fuse", "/app.wasm", "--store", $("store").value, ...(form ? [form] : [])]);
  if (!answer) return;
  show("fused", answer.stdout);
  if (link) URL.revokeObjectURL(link);
  link = URL.createObjectURL(new Blob([answer.fused], { type: "application/wasm" }));
  $("download").href = link;
  $("download").download = file.fused;
  $("download").textContent = `Download ${file.fused} (${answer.fused.length} bytes)`;
  $("result").hidden = false;
}

// Without a folder the demo says that it has none, and keeps its data in memory.
async function tour(folder) {
  show("said", "Running…");
  const answer = await demo({ module: "kv_demo.js", folder, arguments: [] });
  show("said", answer.error ?? answer.stdout + answer.stderr);
}

$("file").onchange = () => $("file").files[0] && open($("file").files[0]);
$("drop").ondragover = (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
};
$("drop").ondragleave = () => $("drop").classList.remove("over");
$("drop").ondrop = (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
};
$("choice").onsubmit = (event) => {
  event.preventDefault();
  fuse();
};
$("tour").onclick = () => tour("demo");
$("memory").onclick = () => tour(undefined);
document.documentElement.dataset.ready = "";
