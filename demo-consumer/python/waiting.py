"""Counts its runs in the key-value store of wasmCloud 2, in Python, as a command of WASI 0.3.

    componentize-py -d WASI -d ../wit-waiting -w demo:waiting/app componentize waiting -o app.wasm
    kvfuse fuse app.wasm
    wasmtime run --dir data::/ app.fused.wasm

WASI is a folder with the WIT of WASI 0.3.
"""

import asyncio

from wit_world import exports
from wit_world.imports import atomics, store
from wit_world.imports.types import SetOptions


class Run(exports.Run):
    async def run(self) -> None:
        bucket = await store.open("")
        await bucket.set("python/greeting", "Grüße aus Python".encode(), SetOptions(None, False))
        greeting = (await bucket.get("python/greeting")).decode()
        # They are on their way at the same time.
        sums = await asyncio.gather(*[atomics.increment(bucket, "python/increments", 1) for _ in range(10)])
        assert len(set(sums)) == 10, sums
        runs = await atomics.increment(bucket, "python/runs", 1)
        print(f"{greeting}: run {runs}, {max(sums)} increments")
