//! What the wasmtime command line provides to a component, by interface and version. `run` provides the same, with the
//! exceptions that are marked here; a test there compares the two.

use kvfuse_compose::{Item, ItemKind, split_name};

/// What a host needs to provide an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provided {
    /// Nothing: it is always provided.
    Always,
    /// An option, `-S` with this name.
    With(&'static str),
    /// No option provides it.
    Never,
}

/// The interfaces of a package that wasmtime provides.
pub struct Package {
    /// Without the version.
    pub name: &'static str,
    /// The full version if it is a pre-release. For a released one only `0.2` or `0.3`: its patches are compatible.
    pub version: &'static str,
    pub interfaces: &'static [&'static str],
    /// Those that `wasmtime serve` provides without being asked. The others need `cli`, or what the package says.
    in_proxy: &'static [&'static str],
    /// The option without which neither command provides it.
    option: Option<&'static str>,
    /// Whether `wasmtime serve` can provide it at all.
    served: bool,
    /// Whether `kvfuse run` provides it.
    pub embedded: bool,
}

const CLI: Package = Package {
    name: "wasi:cli",
    version: "0.2",
    interfaces: &[
        "environment",
        "exit",
        "stdin",
        "stdout",
        "stderr",
        "terminal-input",
        "terminal-output",
        "terminal-stdin",
        "terminal-stdout",
        "terminal-stderr",
    ],
    in_proxy: &["stdin", "stdout", "stderr"],
    option: None,
    served: true,
    embedded: true,
};
const CLOCKS: Package = Package {
    name: "wasi:clocks",
    interfaces: &["monotonic-clock", "wall-clock"],
    in_proxy: &["monotonic-clock", "wall-clock"],
    ..CLI
};
const IO: Package = Package {
    name: "wasi:io",
    interfaces: &["error", "poll", "streams"],
    in_proxy: &["error", "poll", "streams"],
    ..CLI
};
const RANDOM: Package =
    Package { name: "wasi:random", interfaces: &["random", "insecure", "insecure-seed"], in_proxy: &["random"], ..CLI };
const FILESYSTEM: Package =
    Package { name: "wasi:filesystem", interfaces: &["types", "preopens"], in_proxy: &[], ..CLI };
const SOCKETS: Package = Package {
    name: "wasi:sockets",
    interfaces: &[
        "network",
        "instance-network",
        "ip-name-lookup",
        "tcp",
        "tcp-create-socket",
        "udp",
        "udp-create-socket",
    ],
    in_proxy: &[],
    ..CLI
};
const HTTP: Package = Package {
    name: "wasi:http",
    interfaces: &["types", "outgoing-handler"],
    in_proxy: &["types", "outgoing-handler"],
    option: Some("http"),
    ..CLI
};

pub const PACKAGES: &[Package] = &[
    CLI,
    CLOCKS,
    IO,
    RANDOM,
    FILESYSTEM,
    SOCKETS,
    HTTP,
    Package { version: "0.3", in_proxy: CLI.interfaces, ..CLI },
    Package {
        version: "0.3",
        interfaces: &["monotonic-clock", "system-clock"],
        in_proxy: &["monotonic-clock", "system-clock"],
        ..CLOCKS
    },
    Package { version: "0.3", in_proxy: RANDOM.interfaces, ..RANDOM },
    Package { version: "0.3", ..FILESYSTEM },
    Package { version: "0.3", interfaces: &["types", "ip-name-lookup"], ..SOCKETS },
    Package { version: "0.3", interfaces: &["types", "client"], in_proxy: &["types", "client"], ..HTTP },
    Package {
        name: "wasi:config",
        version: "0.2.0-rc.1",
        interfaces: &["store"],
        in_proxy: &[],
        option: Some("config"),
        ..CLI
    },
    Package {
        name: "wasi:nn",
        version: "0.2.0-rc-2024-10-28",
        interfaces: &["tensor", "errors", "inference", "graph"],
        in_proxy: &[],
        option: Some("nn"),
        embedded: false,
        ..CLI
    },
    Package {
        name: "wasi:tls",
        version: "0.2.0-draft",
        interfaces: &["types"],
        in_proxy: &[],
        option: Some("tls"),
        served: false,
        embedded: true,
    },
];

/// What `wasmtime serve`, or otherwise `wasmtime run`, needs to provide this import.
pub fn provided(import: &Item, serve: bool) -> Provided {
    // A type by itself, or an interface of types only, is complete as it is.
    if import.kind != ItemKind::Function && import.only_types() {
        return Provided::Always;
    }
    // Hosts do not know labels: an import under one has to be connected.
    let Some((package, interface)) = split_name(&import.name) else { return Provided::Never };
    match find(&package, interface) {
        None => Provided::Never,
        Some(known) if serve && !known.served => Provided::Never,
        Some(known) if serve && known.in_proxy.contains(&interface) => Provided::Always,
        Some(Package { option: Some(option), .. }) => Provided::With(option),
        Some(_) if serve => Provided::With("cli"),
        Some(_) => Provided::Always,
    }
}

/// Whether `kvfuse run` lacks this import, which wasmtime provides.
pub fn lacking(import: &Item) -> bool {
    split_name(&import.name)
        .and_then(|(package, interface)| find(&package, interface))
        .is_some_and(|known| !known.embedded)
}

fn find(package: &str, interface: &str) -> Option<&'static Package> {
    let (name, version) = package.split_once('@').unwrap_or((package, ""));
    let known = |known: &&Package| known.name == name && matches(version, known.version);
    PACKAGES.iter().filter(known).find(|known| known.interfaces.contains(&interface))
}

/// Whether a version is this one, or a release of this track.
fn matches(version: &str, known: &str) -> bool {
    let patch = version.strip_prefix(known).and_then(|rest| rest.strip_prefix('.'));
    version == known || patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether this is an interface of WASI 0.3.
pub fn is_third(name: &str) -> bool {
    split_name(name).is_some_and(|(package, _)| {
        package.starts_with("wasi:") && package.split_once('@').is_some_and(|(_, version)| version.starts_with("0.3."))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
mod tests {
    use super::*;

    fn import(name: &str) -> Item {
        Item { name: name.into(), resources: vec!["one".into()], ..Item::default() }
    }

    #[test]
    fn an_interface_is_provided_in_the_versions_that_wasmtime_has() {
        let run = |name: &str| provided(&import(name), false);
        for name in
            ["wasi:io/poll@0.2.0", "wasi:io/poll@0.2.99", "wasi:cli/exit@0.3.0", "wasi:clocks/system-clock@0.3.2"]
        {
            assert_eq!(run(name), Provided::Always, "{name}");
        }
        assert_eq!(run("wasi:config/store@0.2.0-rc.1"), Provided::With("config"));
        assert_eq!(run("wasi:http/client@0.3.0"), Provided::With("http"));
        for name in [
            "wasi:config/store@0.2.0-draft",
            "wasi:config/store",
            "wasi:io/poll@0.2.0-rc-2023-11-10",
            "wasi:io/poll@0.3.0",
            "wasi:io/poll",
            "wasi:clocks/timezone@0.2.0",
            "wasi:http/client@0.2.0",
            "acme:io/poll@0.2.0",
            "sessions",
        ] {
            assert_eq!(run(name), Provided::Never, "{name}");
        }
    }

    #[test]
    fn serve_has_the_interfaces_of_a_proxy_and_the_others_when_asked() {
        let serve = |name: &str| provided(&import(name), true);
        assert_eq!(serve("wasi:http/outgoing-handler@0.2.6"), Provided::Always);
        assert_eq!(serve("wasi:random/random@0.2.6"), Provided::Always);
        assert_eq!(serve("wasi:random/insecure@0.2.6"), Provided::With("cli"));
        assert_eq!(serve("wasi:filesystem/types@0.3.0"), Provided::With("cli"));
        assert_eq!(serve("wasi:config/store@0.2.0-rc.1"), Provided::With("config"));
        assert_eq!(serve("wasi:tls/types@0.2.0-draft"), Provided::Never);
    }

    #[test]
    fn types_are_complete_by_themselves_and_functions_are_not() {
        let types = Item { name: "acme:app/types@1.0.0".into(), ..Item::default() };
        assert_eq!(provided(&types, false), Provided::Always);
        let function = Item { name: "log".into(), kind: ItemKind::Function, ..Item::default() };
        assert_eq!(provided(&function, false), Provided::Never);
    }

    #[test]
    fn the_third_wasi_is_told_by_its_version() {
        assert!(is_third("wasi:cli/run@0.3.0") && is_third("wasi:http/handler@0.3.2"));
        assert!(!is_third("wasi:cli/run@0.2.3") && !is_third("acme:cli/run@0.3.0") && !is_third("wasi:keyvalue/store"));
    }
}
