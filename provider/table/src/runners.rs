//! The runners: what is put between a consumer that exports a watch interface and its provider.

/// A runner component that is built and shipped.
#[derive(Debug)]
pub struct Runner {
    /// The name of its file without the ending.
    pub name: &'static str,
    /// The interface of the consumer that it calls.
    pub calls: &'static str,
    /// The name of the generation whose buckets the consumer gets.
    pub generation: &'static str,
}

impl Runner {
    /// The name of its file.
    pub fn file(&self) -> String {
        format!("{}.wasm", self.name)
    }

    /// A description of it, for its metadata.
    pub fn about(&self) -> String {
        format!("Calls {} of a consumer for each change", self.calls)
    }
}

/// The standard's from the newest to the oldest, then those of platforms.
pub const RUNNERS: &[Runner] = &[
    Runner { name: "runner-draft2", calls: "wasi:keyvalue/watcher@0.2.0-draft2", generation: "draft2" },
    Runner { name: "runner-v0-1", calls: "wasi:keyvalue/handle-watch@0.1.0", generation: "v0_1" },
    Runner { name: "runner-unversioned", calls: "wasi:keyvalue/handle-watch", generation: "unversioned" },
    Runner { name: "runner-wasmcloud-0-2", calls: "wasmcloud:keyvalue/watcher@0.2.0", generation: "wasmcloud_0_2" },
    Runner { name: "runner-wasmcloud-0-1", calls: "wasmcloud:keyvalue/watcher@0.1.0", generation: "wasmcloud_0_1" },
];
