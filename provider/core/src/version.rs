//! Compare-and-swap.

/// Identifies one state of a key.
///
/// If two versions of a key are equal, nothing wrote the key in between: a value that is replaced and then restored
/// gets a different version. The one exception is [`Version::Absent`], as in every engine that forgets deleted keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// The key does not exist.
    Absent,
    /// A number that the engine never assigns twice to one key: a sequence number, a modification revision, a version
    /// attribute.
    Number(u64),
    /// Any other bytes by which the engine distinguishes states, such as an entity tag.
    Tag(Box<[u8]>),
}

/// The state of a key at one moment: its value and the version to pass to [`Bucket::swap`](crate::Bucket::swap).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The value. `None` exactly if `version` is [`Version::Absent`].
    pub value: Option<Vec<u8>>,
    /// The version of that value.
    pub version: Version,
}

impl Snapshot {
    /// The state of a key that does not exist.
    pub const ABSENT: Self = Self { value: None, version: Version::Absent };
}

/// The outcome of [`Bucket::swap`](crate::Bucket::swap).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The value was written.
    Done,
    /// Someone else had written the key, so nothing was written. This is the key's state now.
    Conflict(Snapshot),
}
