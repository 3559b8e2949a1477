//! Mistakes that this store could make, to show that its tests notice each of them. None is in a build without the
//! feature `flaws`.

/// A deliberate mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "flaws"), allow(dead_code))]
pub enum Flaw {
    /// A write is acknowledged without looking for it in the file.
    NoReadBack,
    /// Records after a seal count.
    SealIgnored,
    /// Versions start again in each segment.
    VersionReused,
    /// Records after a torn one are not looked for.
    TornHidesRest,
    /// A successor is used without reading the node's log.
    GhostUsed,
    /// A missing file is taken for one that was never created.
    AbsenceBelieved,
    /// The sealed segment is removed before the node's log says what follows.
    RemovedEarly,
    /// The last base of a segment counts, not the first.
    LastBaseCounts,
    /// Every base counts, whatever seal it follows.
    SealNotNamed,
    /// Value files that a segment replaced are removed although a power cut can still take that back.
    ReplacedRemovedEarly,
    /// In full durability, the logs that lead to a segment are not synced before its content is returned.
    WayNotSynced,
    /// A node's log is raised before its parent's is known to survive a power cut.
    ParentNotSynced,
    /// A successor is not synced before what it replaces is removed.
    SuccessorNotSynced,
    /// Full durability acknowledges before the sync.
    AcknowledgedEarly,
    /// Value files are not synced before their record.
    ValueNotSynced,
    /// All value files that no record names yet are removed, including those of writers at work.
    ValuesOfOthersRemoved,
    /// An error of an append counts as "nothing happened".
    ErrorBelieved,
    /// The anchor is used before it is synced.
    AnchorNotSynced,
    /// An index is written before what it names is synced.
    IndexNotSynced,
    /// A sync that failed is tried again, and its success is believed.
    FailedSyncForgotten,
    /// A read that gives less than was asked for counts as the end of the file.
    ShortReadIsEnd,
    /// Records after a page that a power cut took count as if nothing were missing.
    LostPageSkipped,
    /// Records are larger than what a host appends in one piece.
    LargeAppends,
    /// A record names a value that came as a stream before the value's move to the bucket would survive a power cut.
    BodyMoveNotSynced,
    /// An instance that makes a split removes the value files that only those children name that others have already compacted.
    SlowMakerCollects,
    /// An increment or a creation that met a value whose time was over counts.
    LateCounts,
}
