//! Why a component is not made flat.

use crate::error::Part;

/// Why two components are fused in the ordinary way, one inside the other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotFlat {
    /// There is not exactly one instance of a provider.
    #[error("it takes one instance of a provider, and this has {0}")]
    Several(usize),
    /// Settings are fused in, by a component of their own.
    #[error("it has settings fused in, or is for a label")]
    Settings,
    /// Something in it needs the asynchronous part of the component model.
    #[error("the {0} is asynchronous")]
    Asynchronous(Part),
    /// A part is built in a way that cannot be taken apart, such as a composition.
    #[error("the {part} has {what}")]
    Structure {
        /// Which of the two.
        part: Part,
        /// What it has, such as `a component inside that is given what it imports`.
        what: String,
    },
    /// Strings in another encoding than UTF-8, or a memory that is not a plain one of 32 bits.
    #[error("the {part} passes {what}")]
    Encoding {
        /// Which of the two.
        part: Part,
        /// Such as `strings in UTF-16`.
        what: &'static str,
    },
    /// A function passes resources that belong to the host.
    #[error("{0} passes resources of the host")]
    HostResource(String),
    /// A function has types that adapters do not support, or that differ in the two.
    #[error("{function} passes {what}")]
    Types {
        /// The function, such as `wasi:keyvalue/store@0.2.0-draft#open`.
        function: String,
        /// What it passes.
        what: &'static str,
    },
    /// Another interface of the consumer uses the types of one that is connected.
    #[error("the consumer's own {0} uses types of the store")]
    Used(String),
    /// Both import an interface under a name that cannot be told apart by its version.
    #[error("both import {0}, whose version has no other name")]
    Names(String),
    /// The result failed its checks. It is not a promise that this can be made flat one day.
    #[error("the flat form fails its check: {0}")]
    Unsound(String),
}
