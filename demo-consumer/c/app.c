// Counts its runs in a key-value store, in C.
//
//     wit-bindgen c ../wit --world app
//     clang --target=wasm32-wasip1 -O2 app.c app_bindings.c app_component_type.o -mexec-model=reactor -o app.core.wasm
//     wasm-tools component new app.core.wasm --adapt wasi_snapshot_preview1.reactor.wasm -o app.wasm
//     kvfuse fuse app.wasm
//     wasmtime run --dir data::/ app.fused.wasm

#include "app.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool exports_wasi_cli_run_run(void) {
    app_string_t text;
    wasi_keyvalue_store_error_t error;
    wasi_keyvalue_store_own_bucket_t own;
    app_string_set(&text, "");
    if (!wasi_keyvalue_store_open(&text, &own, &error)) return false;
    wasi_keyvalue_store_borrow_bucket_t bucket = wasi_keyvalue_store_borrow_bucket(own);

    const char *greeting = "Grüße aus C";
    app_list_u8_t value = {(uint8_t *)greeting, strlen(greeting)};
    app_string_set(&text, "c/greeting");
    if (!wasi_keyvalue_store_method_bucket_set(bucket, &text, &value, &error)) return false;
    app_option_list_u8_t read;
    if (!wasi_keyvalue_store_method_bucket_get(bucket, &text, &read, &error) || !read.is_some) return false;

    int64_t runs;
    app_string_set(&text, "c/runs");
    if (!wasi_keyvalue_atomics_increment(bucket, &text, 1, &runs, &error)) return false;
    printf("%.*s: run %" PRId64 "\n", (int)read.val.len, (char *)read.val.ptr, runs);
    fflush(stdout);

    app_option_list_u8_free(&read);
    wasi_keyvalue_store_bucket_drop_own(own);
    return true;
}
