"""Keys and values over HTTP, as an application for Spin 4: PUT, GET and DELETE of /KEY, and GET of / lists."""

from spin_sdk import http, key_value
from spin_sdk.http import Request, Response
from spin_sdk.key_value import Store


class HttpHandler(http.Handler):
    async def handle_request(self, request: Request) -> Response:
        with await key_value.open_default() as store:
            return await answer(store, request)


async def answer(store: Store, request: Request) -> Response:
    key = request.uri.lstrip("/")
    match request.method:
        case "GET" if not key:
            return Response(200, {}, "\n".join(sorted(await keys(store))).encode())
        case "GET":
            value = await store.get(key)
            return Response(404, {}, b"there is no such key") if value is None else Response(200, {}, value)
        case "PUT":
            known = await store.exists(key)
            await store.set(key, request.body or b"")
            return Response(200 if known else 201, {}, b"")
        case "DELETE":
            await store.delete(key)
            return Response(204, {}, b"")
        case _:
            return Response(405, {}, b"")


async def keys(store: Store) -> list[str]:
    stream, ended = await store.get_keys()
    found = []
    with stream:
        while not stream.writer_dropped:
            found += await stream.read(100)
    await ended.read()
    return found
