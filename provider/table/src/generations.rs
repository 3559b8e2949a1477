//! The generations of the interface. A generation consists of a line here, a folder `wit/<name>`, a file
//! `provider/facade/src/<name>.rs` and a guest `tests/conformance/guests/examples/<name>.rs`.

/// One generation of the interface, or one shape of a generation that was published in several under one version
/// string.
#[derive(Debug)]
pub struct Generation {
    /// The name of its folder, its file and its guest. A second shape under a version string is named by what differs.
    pub name: &'static str,
    /// The WIT package with its version.
    pub package: &'static str,
    /// An interface that distinguishes it from other generations of its package.
    pub interface: &'static str,
    /// Its name in tables.
    pub title: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// The generation in whose place it is exported. A component cannot export two shapes under one version string, so
    /// a shape with this gets artefacts of its own.
    pub instead_of: Option<&'static str>,
    /// How its shape is distinguished from the other one.
    pub mark: Option<Mark>,
    /// Whether its functions are asynchronous, as in WASI 0.3. A runtime that has no such functions takes no component in which
    /// there is one, so these generations get artefacts of their own.
    pub asynchronous: bool,
}

/// A function by which a consumer shows which shape it was built against.
#[derive(Debug)]
pub struct Mark {
    /// The packages to which it applies.
    pub packages: &'static [&'static str],
    /// The prefix of the function's name.
    pub function: &'static str,
    /// A part of its signature.
    pub signature: &'static str,
    /// The shape in words.
    pub about: &'static str,
}

impl Generation {
    /// The name in kebab case, as in file names.
    pub fn kebab(&self) -> String {
        self.name.replace('_', "-")
    }
}

const fn generation(
    name: &'static str,
    package: &'static str,
    interface: &'static str,
    title: &'static str,
    about: &'static str,
) -> Generation {
    Generation { name, package, interface, title, about, instead_of: None, mark: None, asynchronous: false }
}

impl Generation {
    const fn instead_of(self, name: &'static str) -> Self {
        Self { instead_of: Some(name), ..self }
    }

    const fn asynchronous(self) -> Self {
        Self { asynchronous: true, ..self }
    }

    const fn marked(self, mark: Mark) -> Self {
        Self { mark: Some(mark), ..self }
    }
}

const DRAFT2: &str = "wasi:keyvalue@0.2.0-draft2";
const DRAFT: &str = "wasi:keyvalue@0.2.0-draft";
const V0_1: &str = "wasi:keyvalue@0.1.0";

const GET_MANY_VALUES: Mark = Mark {
    packages: &[DRAFT2],
    function: "get-many",
    signature: "list<tuple<string, option<list<u8>>>>",
    about: "get-many gives every key with an optional value",
};
const GET_MANY_PAIRS: Mark = Mark {
    packages: &[DRAFT2],
    function: "get-many",
    signature: "list<option<tuple<string, list<u8>>>>",
    about: "get-many gives an optional pair for each key",
};
const CONSUME_STATIC: Mark = Mark {
    packages: &[V0_1, DRAFT],
    function: "[static]incoming-value.incoming-value-consume",
    signature: "",
    about: "values are consumed by static functions",
};
const CONSUME_METHODS: Mark = Mark {
    packages: &[V0_1, DRAFT],
    function: "[method]incoming-value.incoming-value-consume",
    signature: "",
    about: "values are consumed by methods",
};

/// From the newest to the oldest, wasi:keyvalue's and then those of wasmCloud and Spin.
#[rustfmt::skip]
pub const GENERATIONS: &[Generation] = &[
    generation("draft2", DRAFT2, "store", "0.2.0-draft2", "the second draft of 0.2 (2024-09; Spin, wasmCloud)").marked(GET_MANY_VALUES),
    generation("draft2_optional_pairs", DRAFT2, "store", "0.2.0-draft2 (get-many gives optional pairs)", "the second draft of 0.2 (2024-09; wRPC, valkey, WAVS)").marked(GET_MANY_PAIRS).instead_of("draft2"),
    generation("draft", DRAFT, "store", "0.2.0-draft", "the first draft of 0.2 (2024-04; wasmtime, wasmCloud)"),
    generation("wrpc", "wrpc:keyvalue@0.2.0-draft", "store", "wrpc:keyvalue 0.2.0-draft", "wRPC's, with the bucket as a string in each call"),
    generation("draft_eventual", DRAFT, "types", "0.2.0-draft (interfaces of 0.1.0)", "0.1.0 under an early name of 0.2 (2024-02; early wasmCloud)"),
    generation("v0_1", V0_1, "types", "0.1.0", "0.1.0 (2024-01; Golem)").marked(CONSUME_STATIC),
    generation("v0_1_consume_methods", V0_1, "types", "0.1.0 (values consumed by methods)", "0.1.0 (2024-01; Golem)").marked(CONSUME_METHODS).instead_of("v0_1"),
    generation("unversioned", "wasi:keyvalue", "types", "without a version", "before versions (2023-11; Golem's tutorial)"),
    generation("wasmcloud_0_2", "wasmcloud:keyvalue@0.2.0", "store", "wasmcloud:keyvalue 0.2.0", "wasmCloud's own, asynchronous (2026-07; wasmCloud 2.7)").asynchronous(),
    generation("wasmcloud_0_1", "wasmcloud:keyvalue@0.1.0", "store", "wasmcloud:keyvalue 0.1.0", "wasmCloud's own, asynchronous (2026-06; wasmCloud 2.5)").asynchronous(),
    generation("spin3", "spin:key-value@3.0.0", "key-value", "spin:key-value 3.0.0", "Spin's own, asynchronous (2026; Spin 4)").asynchronous(),
    generation("spin2", "fermyon:spin@2.0.0", "key-value", "fermyon:spin 2.0.0", "Spin's own (2023-11; Spin 2 and 3)"),
    generation("spin1", "fermyon:spin", "key-value", "fermyon:spin without a version", "Spin's own (2023-03; Spin 1)"),
];
