//! The published generations of the interface in plain words.

use kvfuse_compose::Item;

/// What is known of a generation, found by a function of it, because names and versions were used for more than one.
struct Known {
    package: &'static str,
    /// An interface of the package that only this generation has.
    interface: &'static str,
    words: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        package: "wasi:keyvalue@0.2.0-draft2",
        interface: "store",
        words: "the second draft of 0.2 (2024-09; Spin, wasmCloud)",
    },
    Known {
        package: "wasi:keyvalue@0.2.0-draft",
        interface: "store",
        words: "the first draft of 0.2 (2024-04; wasmtime, wasmCloud)",
    },
    Known {
        package: "wasi:keyvalue@0.2.0-draft",
        interface: "types",
        words: "0.1.0 under an early name of 0.2 (2024-02; early wasmCloud)",
    },
    Known { package: "wasi:keyvalue@0.1.0", interface: "types", words: "0.1.0 (2024-01; Golem)" },
    Known { package: "wasi:keyvalue", interface: "types", words: "before versions (2023-11; Golem's tutorial)" },
    Known {
        package: "wrpc:keyvalue@0.2.0-draft",
        interface: "store",
        words: "wRPC's, with the bucket as a string in each call",
    },
];

pub fn words(package: &str, items: &[&Item]) -> Option<&'static str> {
    let interfaces: Vec<_> = items.iter().filter_map(|item| kvfuse_compose::split_name(item.interface())).collect();
    let of_package = |interface: &str| interfaces.iter().any(|(p, i)| p == package && *i == interface);
    let known: Vec<_> = KNOWN.iter().filter(|known| known.package == package).collect();
    known.iter().find(|known| of_package(known.interface)).or(known.first()).map(|known| known.words)
}

/// The shape of a generation that was published in two shapes under one version. `None` for the others.
pub fn shape(package: &str, items: &[&Item]) -> Option<&'static str> {
    let functions = || {
        let of_package =
            items.iter().filter(|item| kvfuse_compose::split_name(item.interface()).is_some_and(|(p, _)| p == package));
        of_package.flat_map(|item| item.functions.iter())
    };
    let has = |name: &str, part: &str| functions().any(|(n, signature)| n == name && signature.shape.contains(part));
    match package {
        "wasi:keyvalue@0.2.0-draft2" if has("get-many", "list<tuple<string, option<list<u8>>>>") => {
            Some("the shape since 2026-08: get-many answers every key, with a value or none")
        }
        "wasi:keyvalue@0.2.0-draft2" if has("get-many", "list<option<tuple<string, list<u8>>>>") => {
            Some("the shape of 2024-09 to 2026-08: get-many answers a pair or nothing for each key")
        }
        "wasi:keyvalue@0.2.0-draft2" => Some("either shape: it does not call get-many, in which they differ"),
        "wasi:keyvalue@0.1.0" | "wasi:keyvalue@0.2.0-draft"
            if functions().any(|(name, _)| name.starts_with("[method]incoming-value.incoming-value-consume")) =>
        {
            Some("the shape until 2024-02-12: values are consumed by methods")
        }
        "wasi:keyvalue@0.1.0" | "wasi:keyvalue@0.2.0-draft"
            if functions().any(|(name, _)| name.starts_with("[static]incoming-value.incoming-value-consume")) =>
        {
            Some("the shape since 2024-02-12: values are consumed by static functions")
        }
        _ => None,
    }
}
