//! A call of one of a library's functions, as `wasmtime run --invoke` takes it.

use super::{Host, entered, not_run};
use crate::refusal::Result;
use crate::subject::Subject;
use std::process::ExitCode;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::wasm_wave::untyped::UntypedFuncCall;
use wasmtime::component::wasm_wave::wasm::{DisplayFuncResults, WasmFunc};
use wasmtime::component::{Accessor, Component, ComponentExportIndex, InstancePre, Val};
use wasmtime::{Engine, Store};

/// Calls it and prints what it returns.
pub(super) async fn invoke(
    subject: &Subject,
    ready: &InstancePre<Host>,
    mut store: Store<Host>,
    call: &str,
    concurrent: bool,
) -> Result<ExitCode> {
    let refused = |what: &str, reason: String| Box::new(not_run(subject, what).note(reason));
    let cannot_parse = |e: &dyn std::fmt::Display| {
        refused("the call cannot be read", e.to_string())
            .help("a call is a function's name with its arguments: 'f(1, \"a\")'")
    };
    let parsed = UntypedFuncCall::parse(call).map_err(|e| Box::new(cannot_parse(&e)))?;
    let (index, ty) = find(ready.component(), ready.engine(), parsed.name())
        .map_err(|candidates| refused("the library has no such function to call", candidates))?;
    let types: Vec<_> = WasmFunc::params(&ty).collect();
    let arguments: Vec<Val> = parsed.to_wasm_params(&types).map_err(|e| Box::new(cannot_parse(&e)))?;

    let instance = entered(subject, ready.instantiate_async(&mut store).await)?;
    let function =
        instance.get_func(&mut store, index).ok_or_else(|| refused("the call is not possible", call.into()))?;
    let mut results = vec![Val::Bool(false); ty.results().len()];
    let called = if concurrent {
        let call = async |store: &Accessor<Host>| function.call_concurrent(store, &arguments, &mut results).await;
        store.run_concurrent(call).await.flatten()
    } else {
        function.call_async(&mut store, &arguments, &mut results).await
    };
    entered(subject, called)?;
    crate::commands::print(&format!("{}\n", DisplayFuncResults(&results)))
}

/// The function of this name: `name`, `interface.name`, or `package:name/interface.name@version`. The error lists the
/// existing functions.
fn find(component: &Component, engine: &Engine, name: &str) -> Result<(ComponentExportIndex, ComponentFunc), String> {
    let (path, version) = name.split_once('@').map_or((name, String::new()), |(path, v)| (path, format!("@{v}")));
    let (interface, function) = match path.rsplit_once('.') {
        Some((interface, function)) => (Some(format!("{interface}{version}")), function),
        None => (None, path),
    };
    let mut found = Vec::new();
    let mut all = Vec::new();
    let mut consider = |within: Option<&str>, exported: &str| {
        let display = match within.map(|within| within.split_once('@').unwrap_or((within, ""))) {
            None => exported.to_string(),
            Some((within, "")) => format!("{within}.{exported}"),
            Some((within, version)) => format!("{within}.{exported}@{version}"),
        };
        if exported == function && (interface.is_none() || interface.as_deref() == within) {
            let outer = within.and_then(|within| component.get_export_index(None, within));
            if let Some((ComponentItem::ComponentFunc(ty), index)) = component.get_export(outer.as_ref(), exported) {
                found.push((index, ty));
            }
        }
        if !exported.contains('[') {
            all.push(display);
        }
    };
    for (outer, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => consider(None, outer),
            ComponentItem::ComponentInstance(instance) => {
                for (inner, item) in instance.exports(engine) {
                    if let ComponentItem::ComponentFunc(_) = item.ty {
                        consider(Some(outer), inner);
                    }
                }
            }
            _ => {}
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        _ if all.is_empty() => Err("it exports no function that can be called from outside".into()),
        _ => Err(format!("it exports {}", all.join(", "))),
    }
}
