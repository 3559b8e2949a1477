//! The bindings of WASI 0.3, for the transports of a world in which calls wait beside each other.

wit_bindgen::generate!({ path: "wit", world: "kvfuse:waiting/transports", generate_all });

pub use wasi::clocks::monotonic_clock;
pub use wasi::http;
pub use wasi::sockets::{ip_name_lookup, types};
