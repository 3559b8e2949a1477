// What the files of the store `files` contain, as `kvfuse stat` says it.

import { call } from "./api.js";
import { attempt, byId, element, shown } from "./dom.js";

const SIZES = ["keys", "bytes", "live", "dead", "torn", "damaged"];
const FILES = [
  ["value_files", "value files"],
  ["verified_files", "of them verified"],
  ["unverified_files", "of them without a check"],
  ["leftover_files", "leftover files"],
];

export function start() {
  byId("again").addEventListener("click", look);
  byId("verify").addEventListener("change", look);
}

export async function look() {
  byId("verdict").textContent = "…";
  const report = await attempt(() => call("stat", { verify: byId("verify").checked }));
  byId("verdict").textContent = report ? verdict(report) : "";
  byId("verdict").classList.toggle("bad", Boolean(report?.damaged));
  byId("report").replaceChildren(...(report?.buckets ?? []).map(table));
}

function verdict(report) {
  if (report.damaged) return "This store is damaged. Stop everything that uses it; kvfuse repair copies what can be read.";
  const torn = report.buckets.reduce((sum, bucket) => sum + bucket.torn, 0);
  return torn ? `No damage found; ${number(torn)} bytes torn, as after a crash.` : "No damage found.";
}

const number = (n) => n.toLocaleString("en");

function table(bucket) {
  const name = bucket.bucket === null ? element("code", {}, bucket.directory) : shown(bucket.bucket);
  const cells = (sizes) => SIZES.map((size) => element("td", {}, number(sizes[size])));
  const row = (title, sizes, note) => element("tr", {}, element("th", { scope: "row" }, title, note), ...cells(sizes));
  const head = element("tr", {}, element("th", {}, "segment"), ...SIZES.map((size) => element("th", { scope: "col" }, size)));
  const rows = bucket.segments.map((segment) => row(segment.file, segment, segment.sealed ? " sealed" : ""));
  if (bucket.segments.length !== 1) rows.push(row(`${bucket.segments.length} in all`, bucket, ""));
  const files = FILES.filter(([field]) => bucket[field]?.files).map(([field, title]) =>
    element("p", {}, `${title}: ${number(bucket[field].files)}, ${number(bucket[field].bytes)} bytes`));
  const damage = bucket.damage.map((line) => element("li", {}, shown(line)));
  return element("section", {},
    element("h3", {}, name),
    element("div", { className: "wide", tabIndex: 0 }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows))),
    ...files,
    ...(damage.length ? [element("h4", {}, "Damage"), element("ul", { className: "bad" }, ...damage)] : []));
}
