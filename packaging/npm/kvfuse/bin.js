#!/usr/bin/env node
// Starts the program kvfuse, which is in a package for each platform: npm installs the one that fits.
"use strict";

const { spawn } = require("node:child_process");
const platforms = Object.keys(require("../package.json").optionalDependencies);

// On Linux with glibc, the program for it, and otherwise that for musl, which needs no libc at all.
const plain = `kvfuse-${process.platform}-${process.arch}`;
const glibc = process.platform !== "linux" || process.report.getReport().header.glibcVersionRuntime;
const names = (glibc ? [plain, `${plain}-musl`] : [`${plain}-musl`]).filter((name) => platforms.includes(name));
const file = process.platform === "win32" ? "kvfuse.exe" : "kvfuse";
let program;
for (const name of names) {
  try {
    program = require.resolve(`${name}/bin/${file}`);
    break;
  } catch {}
}
if (program === undefined) {
  console.error(
    names.length > 0
      ? `kvfuse: the package ${names.join(" or ")} is not installed: npm leaves it out with --omit=optional`
      : `kvfuse: there is no package ${glibc ? plain : `${plain}-musl`}, only ${platforms.join(", ")}`,
  );
  process.exit(1);
}

const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
// A terminal sends SIGINT to both of them. The others are sent to this process alone.
process.on("SIGINT", () => {});
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`kvfuse: ${program} does not start: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
