"""Counts its runs in a key-value store, in Python.

    componentize-py -d ../wit -w app componentize app -o app.wasm
    kvfuse fuse app.wasm
    wasmtime run --dir data::/ app.fused.wasm
"""

from wit_world import exports
from wit_world.imports import atomics, store


class Run(exports.Run):
    def run(self) -> None:
        bucket = store.open("")
        bucket.set("python/greeting", "Grüße aus Python".encode())
        greeting = bucket.get("python/greeting").decode()
        runs = atomics.increment(bucket, "python/runs", 1)
        print(f"{greeting}: run {runs}")
