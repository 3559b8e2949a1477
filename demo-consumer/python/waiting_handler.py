"""Counts its visitors in the key-value store of wasmCloud 2, in Python, as an HTTP handler of WASI 0.3.

    componentize-py -d WASI -d ../wit-waiting -w demo:waiting/handler componentize waiting_handler -o web.wasm
    kvfuse fuse web.wasm
    wasmtime serve -S cli --dir data::/ web.fused.wasm

WASI is a folder with the WIT of WASI 0.3.
"""

import componentize_py_async_support
import wit_world
from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports import atomics, store
from wit_world.imports.wasi_http_types import Fields, Request, Response


class Handler(exports.Handler):
    async def handle(self, request: Request) -> Response:
        bucket = await store.open("visits")
        sum = await atomics.increment(bucket, "visitors", 1)
        writer, reader = wit_world.byte_stream()
        componentize_py_async_support.spawn(write(writer, str(sum).encode()))
        _, trailers = wit_world.result_option_wasi_http_types_fields_wasi_http_types_error_code_future(lambda: Ok(None))
        response, _ = Response.new(Fields(), reader, trailers)
        return response


async def write(writer, text: bytes) -> None:
    with writer:
        await writer.write_all(text)
