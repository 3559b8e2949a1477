#!/usr/bin/env node
// Starts the program kvfuse, which is in a package for each platform: npm installs the one that fits.
"use strict";

const { spawn } = require("node:child_process");
const platforms = Object.keys(require("../package.json").optionalDependencies);

const name = `kvfuse-${process.platform}-${process.arch}`;
let program;
try {
  program = require.resolve(`${name}/bin/kvfuse`);
} catch {
  console.error(
    platforms.includes(name)
      ? `kvfuse: the package ${name} is not installed: npm leaves it out with --omit=optional, and on Linux without glibc`
      : `kvfuse: there is no package for ${process.platform} on ${process.arch}, only ${platforms.join(", ")}`,
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
