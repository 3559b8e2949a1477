//! Errors.

use std::fmt;

/// The error of an underlying library.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a component could not be read, made, checked or fused.
///
/// The message of a variant does not repeat that of its source: print the chain of sources to see everything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not WebAssembly, are damaged, or end too early.
    #[error("this is not a valid WebAssembly component")]
    Invalid(#[source] Source),
    /// The bytes are a core module. [`componentize`](crate::componentize) makes a component of one that carries its
    /// world.
    #[error("this is a core WebAssembly module, not a component")]
    CoreModule,
    /// The bytes are a WIT package in its binary form: it has interfaces and no code.
    #[error("this file contains a WIT package: interfaces without code")]
    WitPackage,
    /// The component is damaged, or imports or exports what WIT cannot express: modules, components, values.
    #[error("the component cannot be read")]
    Types(#[source] Source),
    /// A core module cannot become a component: it carries no world, or does not match the one it carries.
    #[error("the core module cannot be turned into a component")]
    Componentize(#[source] Source),
    /// The metadata of a component cannot be read, or the metadata given for it is malformed.
    #[error("the metadata is malformed")]
    Metadata(#[source] Source),
    /// A component imports other interfaces than the list that it was checked against.
    #[error("{}", imports(.extra, .unused))]
    Imports {
        /// The imports that are not in the list, in the order of the component.
        extra: Vec<String>,
        /// The entries of the list that are not imported, in the order of the list.
        unused: Vec<String>,
    },
    /// One of the two parts cannot be read.
    #[error("the {part} cannot be read")]
    Part {
        /// Which of the two.
        part: Part,
        /// Why.
        source: Box<Error>,
    },
    /// Settings cannot be fused in: malformed, or too many.
    #[error("these settings cannot be fused in: {0}")]
    Settings(String),
    /// The two have no interface in common, so nothing would be connected.
    #[error(
        "the provider exports nothing that the consumer imports\n  the consumer imports: {}\n  the provider exports: {}",
        .imports.join(", "),
        .exports.join(", ")
    )]
    NothingToConnect {
        /// What the consumer imports.
        imports: Vec<String>,
        /// What the provider exports.
        exports: Vec<String>,
    },
    /// A [`Wire`](crate::Wire) begins or ends at a name that its component does not have.
    #[error("the {part} has no {} {name}", match .part { Part::Consumer => "import", Part::Provider => "export" })]
    NoSuchName {
        /// The consumer if an import is missing, the provider if an export is.
        part: Part,
        /// The name.
        name: String,
    },
    /// The consumer passes resources of one WASI package in two versions. They are two types, and the provider's
    /// functions take only one.
    #[error("its key-value imports pass resources of both {one} and {other}: build it against one of them")]
    TwoVersions {
        /// Such as `wasi:io@0.2.0`.
        one: String,
        /// Such as `wasi:io@0.2.6`.
        other: String,
    },
    /// An interface of the same name has another shape in each of the two.
    #[error("the consumer and the provider do not fit together")]
    Mismatch(#[source] Source),
    /// The fused component failed the checks that every result has to pass. This is a bug in this crate or in an
    /// underlying library.
    #[error("the fused component failed its check: {0}")]
    Unsound(String),
}

/// One of the two components that are fused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The one whose imports are satisfied.
    Consumer,
    /// The one whose exports satisfy them.
    Provider,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Consumer => "consumer",
            Self::Provider => "provider",
        })
    }
}

impl Part {
    /// Adds the component in which an error occurred.
    pub(crate) fn cannot_be_read(self) -> impl Fn(Error) -> Error {
        move |source| Error::Part { part: self, source: Box::new(source) }
    }
}

impl From<wasmparser::BinaryReaderError> for Error {
    fn from(e: wasmparser::BinaryReaderError) -> Self {
        Self::Invalid(e.into())
    }
}

fn imports(extra: &[String], unused: &[String]) -> String {
    let list = |title: &str, names: &[String]| {
        let names: String = names.iter().map(|name| format!("\n  {name}")).collect();
        if names.is_empty() { None } else { Some(format!("{title}{names}")) }
    };
    let parts = [
        list("the component imports what its list does not allow:", extra),
        list("its list allows what the component does not import:", unused),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
}
