//! A host whose peers never stop sending, as a component sees it: whatever it waits for beside a timer is always ready.
//! On a real host the kernel's buffers run empty from time to time, which saves a component that does not check its
//! timer first.

use crate::Host;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime::component::{Linker, Resource};
use wasmtime::{StoreContextMut, bail};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::sync::io::poll::Host as _;

/// The interface as this wasmtime's linker calls it.
const POLL: &str = "wasi:io/poll@0.2.12";

/// How often a component may find that its timer has fired and continue anyway. A correct one does so once for each
/// call that is late.
const LATE: usize = 1000;

/// Replaces the host's `poll`. Of two things, the first one is what is waited for, and the second one is the timer.
pub fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let late = AtomicUsize::new(0);
    linker.allow_shadowing(true);
    linker.instance(POLL)?.func_wrap(
        "poll",
        move |mut store: StoreContextMut<'_, Host>, (list,): (Vec<Resource<DynPollable>>,)| {
            let table = &mut store.data_mut().table;
            if let [awaited, _] = list.as_slice() {
                table.poll(vec![Resource::new_borrow(awaited.rep())])?;
            }
            let two = list.len() == 2;
            let ready = table.poll(list)?;
            if two && ready.contains(&1) && late.fetch_add(1, Ordering::Relaxed) >= LATE {
                bail!("the component waits on and on, although its timer has fired");
            }
            Ok((ready,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}
