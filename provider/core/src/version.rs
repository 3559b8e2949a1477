//! Compare-and-swap.

/// Which state of a key was seen. Two equal versions of one key mean that nothing wrote the key in between: a value that
/// went away and came back has another version (the one exception is [`Version::Absent`], as in every engine that
/// forgets deleted keys).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// The key was not there.
    Absent,
    /// A number that the engine never gives twice for one key (sequence number, mod-revision, version attribute).
    Number(u64),
    /// Whatever else the engine tells states apart by (an entity tag).
    Tag(Box<[u8]>),
}

/// A key's state at one moment: its value, if any, and the version to swap against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// `None` exactly if `version` is [`Version::Absent`].
    pub value: Option<Vec<u8>>,
    pub version: Version,
}

impl Snapshot {
    pub const ABSENT: Self = Self { value: None, version: Version::Absent };
}

/// How a swap ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    Done,
    /// The key had moved on and nothing was written; this is its state now.
    Conflict(Snapshot),
}
