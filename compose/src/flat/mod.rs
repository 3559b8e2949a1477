//! Flat fusing: one component without inner ones, in which a call from the consumer to the provider is a call between two
//! core modules.
//!
//! Between them stands an *adapter*, a core module that is generated from the types of the functions that the consumer
//! calls, and does what a runtime does between two components: it checks and copies. What it has to keep, and why it can,
//! is in `docs/flat.md`.
//!
//! | file | what it does |
//! |---|---|
//! | `part` | a component as the list of what it defines |
//! | `reason` | why a component is not made flat |
//! | `calls` | which functions cross, with their types and options |
//! | `types` | the types that cross, and their places in memory |
//! | `adapter` | the core modules between the two |
//! | `code` | the body of an adapter's function |
//! | `reach` | how an adapter gets at the two memories, with two of its own or one |
//! | `number` | indices that move |
//! | `write` | the sections of the result |
//! | `splice` | the provider's definitions, then the consumer's |
//! | `names` | import names that keep the two apart |
//! | `check` | the promises, checked on the result |
//! | `record` | what the result says of its parts |

mod adapter;
mod calls;
mod check;
mod code;
mod names;
mod number;
mod part;
mod reach;
mod reason;
mod record;
mod splice;
#[cfg(test)]
mod tests;
mod types;
mod write;

pub use reach::Memories;
pub use reason::NotFlat;
pub use record::{FlatPart, FlatParts};

use crate::compose::Supply;
use crate::error::Part as Which;
use part::Part;

/// Fuses a consumer with the provider of the one supply into a flat component: with no component inside, and the core
/// modules of both byte for byte. It behaves as what [`connect_all`](crate::connect_all) makes, and its calls between the
/// two cost a fraction. What is between them has as many memories in each module as is asked for.
///
/// ```
/// # use kvfuse_compose::{Interfaces, Memories, NotFlat, Supply, Wire, flatten, nested};
/// # let consumer = wat::parse_str(r#"(component
/// #    (import "acme:store/counter" (instance $counter (export "next" (func (result u32)))))
/// #    (alias export $counter "next" (func $next))
/// #    (core func $next (canon lower (func $next)))
/// #    (core module $code (import "" "next" (func $next (result i32))) (export "run" (func $next)))
/// #    (core instance $code (instantiate $code (with "" (instance (export "next" (func $next))))))
/// #    (func $run (result u32) (canon lift (core func $code "run")))
/// #    (export "run" (func $run)))"#)?;
/// # let provider = wat::parse_str(r#"(component
/// #    (core module $code (func (export "next") (result i32) i32.const 7))
/// #    (core instance $code (instantiate $code))
/// #    (func $next (result u32) (canon lift (core func $code "next")))
/// #    (instance $counter (export "next" (func $next)))
/// #    (export "acme:store/counter" (instance $counter)))"#)?;
/// let name = "acme:store/counter".to_string();
/// let wires = vec![Wire { import: name.clone(), export: name }];
/// let supply = Supply { provider: &provider, wires, ..Supply::default() };
/// let flat = flatten(&consumer, &[supply], Memories::Two)?;
/// assert!(nested(&flat)?.is_empty());
/// assert_eq!(Interfaces::of(&flat)?.exports, ["run"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The reason for which these are fused by [`connect_all`](crate::connect_all) instead. The components themselves are valid.
pub fn flatten(consumer: &[u8], supplies: &[Supply], memories: Memories) -> Result<Vec<u8>, NotFlat> {
    let [supply] = supplies else { return Err(NotFlat::Several(supplies.len())) };
    if !supply.settings.is_empty() {
        return Err(NotFlat::Settings);
    }
    let apart = names::apart(consumer, supply)?;
    let (consumer, provider) = (Part::read(consumer, Which::Consumer)?, Part::read(&apart, Which::Provider)?);
    let calls = calls::find(&consumer, &provider, &supply.wires)?;
    let mut flat = splice::splice(&consumer, &provider, &calls, memories)?;
    record::FlatParts::of(&consumer, &provider, &supply.wires, memories).append_to(&mut flat);
    check::check(&flat, &consumer, &provider, &supply.wires)?;
    Ok(flat)
}
