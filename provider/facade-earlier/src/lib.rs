//! Shapes that a version string of the interface had before the one that everybody knows it by now, one file each, for
//! artefacts that export them in place of the later one:
//!
//! | file | version | what differs | artefacts |
//! |---|---|---|---|
//! | [`draft2_2024`] | `0.2.0-draft2` | `get-many` gives each key that is there with its value | `keyvalue*_draft2_2024.wasm` |
//! | [`v0_1_methods`] | `0.1.0` | a value is consumed by methods | `keyvalue*_0_1_methods.wasm` |

pub mod draft2_2024;
pub mod v0_1_methods;

/// Exports generations from a component: `export!(TheProvider: draft, draft2)`.
#[macro_export]
macro_rules! export {
    ($provider:ty: $($generation:ident),*) => {
        $(const _: () = {
            type Facade = $crate::$generation::Facade<$provider>;
            $crate::$generation::export!(Facade with_types_in $crate::$generation);
        };)*
    };
}
