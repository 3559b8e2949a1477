//! Serves the `wrpc:keyvalue` exports of a provider component over wRPC on a loopback port, each call in a fresh instance.
//!
//!     serve PROVIDER.wasm FOLDER
//!
//! It prints the port and ends when its standard input does.

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream::SelectAll};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{DirPerms, FilePerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wrpc_runtime_wasmtime::{ServeExt, SharedResourceTable, WrpcCtx, WrpcCtxView, WrpcView};
use wrpc_transport::frame::{Server, tcp};

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    wrpc: Wrpc,
}

/// The runtime asks for this to answer a component's own wRPC imports. A provider has none.
struct Wrpc {
    client: tcp::Client<String>,
    shared: SharedResourceTable,
}

impl WrpcCtx<tcp::Client<String>> for Wrpc {
    fn context(&self) {}
    fn client(&self) -> &tcp::Client<String> {
        &self.client
    }
    fn shared_resources(&mut self) -> &mut SharedResourceTable {
        &mut self.shared
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WrpcView for State {
    type Invoke = tcp::Client<String>;
    fn wrpc(&mut self) -> WrpcCtxView<'_, Self::Invoke> {
        WrpcCtxView { ctx: &mut self.wrpc, table: &mut self.table }
    }
}

fn store(engine: &Engine, folder: &Path) -> Result<Store<State>> {
    let wasi = WasiCtxBuilder::new()
        .inherit_stderr()
        .preopened_dir(folder, "/", DirPerms::all(), FilePerms::all())?
        .build();
    let wrpc = Wrpc { client: tcp::Client::from(String::new()), shared: SharedResourceTable::default() };
    Ok(Store::new(engine, State { wasi, table: ResourceTable::new(), wrpc }))
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [component, folder] = arguments.as_slice() else { bail!("usage: serve PROVIDER.wasm FOLDER") };
    let folder = PathBuf::from(folder);
    let engine = Engine::new(&Config::new())?;
    let component = Component::from_file(&engine, component)?;
    let mut linker = Linker::<State>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    let instance = linker.instantiate_pre(&component)?;
    drop(store(&engine, &folder).context("the folder cannot be granted")?);

    let server = Arc::new(Server::default());
    let mut calls = SelectAll::new();
    for (name, item) in component.component_type().exports(&engine) {
        let ComponentItem::ComponentInstance(interface) = item else { continue };
        if !name.starts_with("wrpc:keyvalue/") {
            continue;
        }
        for (function, item) in interface.exports(&engine) {
            let ComponentItem::ComponentFunc(ty) = item else { continue };
            let (engine, folder) = (engine.clone(), folder.clone());
            let fresh = move || store(&engine, &folder).unwrap_or_else(|error| panic!("a store could be made before: {error}"));
            let served = server.serve_function(fresh, instance.clone(), HashMap::new(), ty, name, function).await?;
            calls.push(served.boxed());
        }
    }

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let accepting = tokio::spawn(async move {
        loop {
            if let Err(error) = server.accept(&listener).await {
                eprintln!("a connection was dropped: {error}");
            }
        }
    });
    let answering = tokio::spawn(async move {
        while let Ok(Some((_, call))) = calls.try_next().await {
            tokio::spawn(async move {
                if let Err(error) = call.await {
                    eprintln!("a call failed: {error:#}");
                }
            });
        }
    });
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await?;
    accepting.abort();
    answering.abort();
    Ok(())
}
