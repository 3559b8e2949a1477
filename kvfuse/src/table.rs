//! The stores, as data. Read by the build script as well, which embeds the files named here.

pub struct Store {
    pub name: &'static str,
    pub about: &'static str,
    /// The provider components in the order in which they are tried. They differ in the generations of the interface
    /// that they export; what each one has is read from the file itself.
    pub files: &'static [&'static str],
    /// The environment variables that this store reads, beside those of every store.
    pub variables: &'static [Variable],
}

pub struct Variable {
    pub name: &'static str,
    pub about: &'static str,
    /// A value to show in an example. For an endpoint also what a server of one's own usually has.
    pub example: &'static str,
    pub role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Where the store is: URLs separated by commas. The store cannot work without it.
    Endpoint,
    /// Passed on when it is set.
    Setting,
    /// The same, and its value must never be printed.
    Secret,
}

const fn setting(name: &'static str, about: &'static str, example: &'static str) -> Variable {
    Variable { name, about, example, role: Role::Setting }
}

/// What every store reads.
pub const COMMON: &[Variable] = &[
    setting("KEYVALUE_BUCKETS", "the only buckets that may be opened, separated by commas", "default,sessions"),
    setting("KEYVALUE_MAX_VALUE", "the size of the largest value", "16M"),
];

pub const STORES: &[Store] = &[Store {
    name: "files",
    about: "append-only files in a directory",
    files: &["keyvalue.wasm", "keyvalue_draft2_2024.wasm", "keyvalue_0_1_methods.wasm"],
    variables: &[setting("KEYVALUE_DIR", "the directory to use when several are granted", "/")],
}];
