use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Result, Store};
use wasmtime_wasi::p2::bindings::sync::Command;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

pub fn main() -> Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_sync(&mut linker)?; // etcd, dynamodb, azure, s3
    let mut wasi = WasiCtxBuilder::new();
    wasi.inherit_stdio().inherit_args().inherit_env();
    wasi.preopened_dir("data", "/", FsPerms::ReadWrite)?; // files
    wasi.inherit_network().allow_tcp(true).allow_ip_name_lookup(true); // redis, memcached
    let mut store =
        Store::new(&engine, Host { wasi: wasi.build(), http: WasiHttpCtx::new(), table: ResourceTable::new() });
    let component = Component::from_file(&engine, "app.fused.wasm")?;
    let command = Command::instantiate(&mut store, &component, &linker)?;
    command.wasi_cli_run().call_run(&mut store)?.map_err(|()| wasmtime::Error::msg("the command failed"))
}

struct Host {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: Default::default() }
    }
}
