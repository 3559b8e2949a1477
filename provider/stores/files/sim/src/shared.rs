//! What the instances of a run share, and what a run is made of.

use crate::history::History;
use crate::plain::mix;

/// What goes wrong in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Instances are killed, also in the middle of appends; hosts cut appends in two.
    Kills,
    /// Besides, file operations fail.
    Faults,
    /// The power is cut, durability is relaxed.
    PowerRelaxed,
    /// The power is cut, durability is full.
    PowerFull,
    /// File operations fail and the power is cut; durability is full in one instance and relaxed in the others, who are
    /// told nothing that counts.
    PowerMixed,
    /// As [`Kills`](Self::Kills), with values and bases of about what a host appends at once.
    Large,
}

impl Weather {
    /// Whether file operations fail.
    pub fn is_faulty(self) -> bool {
        matches!(self, Self::Faults | Self::PowerMixed)
    }
}

pub const WEATHERS: [Weather; 6] =
    [Weather::Kills, Weather::Faults, Weather::PowerRelaxed, Weather::PowerFull, Weather::PowerMixed, Weather::Large];

/// What disks and hosts do besides, each of which can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// A failed sync of a file drops what it was to make last. (Where file operations fail.)
    pub failed_syncs: bool,
    /// So does one of a directory.
    pub failed_directory_syncs: bool,
    /// Any read may give less than was asked for. (None ever gives more than 64 KiB.)
    pub short_reads: bool,
    /// A power cut takes pages and leaves later ones.
    pub lost_pages: bool,
    /// Appends above 64 KiB go out in pieces.
    pub pieces: bool,
    /// Values also pass as streams.
    pub bodies: bool,
    /// Values also have lifetimes, and the clock moves.
    pub lifetimes: bool,
}

impl Faults {
    pub const ALL: Self = Self {
        failed_syncs: true,
        failed_directory_syncs: true,
        short_reads: true,
        lost_pages: true,
        pieces: true,
        bodies: true,
        lifetimes: true,
    };

    pub const NONE: Self = Self {
        failed_syncs: false,
        failed_directory_syncs: false,
        short_reads: false,
        lost_pages: false,
        pieces: false,
        bodies: false,
        lifetimes: false,
    };

    /// What the store withstands as it is.
    pub const WITHSTOOD: Self = Self::ALL;

    /// `all`, `none`, or names of faults separated by commas.
    pub fn parse(text: &str) -> Option<Self> {
        let mut faults = Self::NONE;
        for name in text.split(',') {
            match name {
                "all" => faults = Self::ALL,
                "none" => {}
                "failed_syncs" => faults.failed_syncs = true,
                "failed_directory_syncs" => faults.failed_directory_syncs = true,
                "short_reads" => faults.short_reads = true,
                "lost_pages" => faults.lost_pages = true,
                "pieces" => faults.pieces = true,
                "bodies" => faults.bodies = true,
                "lifetimes" => faults.lifetimes = true,
                _ => return None,
            }
        }
        Some(faults)
    }
}

/// A sequence of random numbers.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x5851_f42d_4c95_7f2d))
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.draw() % n.max(1) as u64) as usize
    }

    pub fn chance(&mut self, per_ten_thousand: usize) -> bool {
        self.below(10_000) < per_ten_thousand
    }
}

/// What all instances of a run share.
pub struct Shared {
    pub random: Random,
    pub history: History,
    pub weather: Weather,
    pub faults: Faults,
    /// Bytes of values, but for the beginning of each.
    pub sizes: &'static [usize],
    /// Steps for which an instance sleeps.
    pub asleep: Vec<usize>,
    pub steps: usize,
    pub counts: Counts,
}

/// What happened in a run, to show that it was worth it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub steps: usize,
    pub operations: usize,
    pub kills: usize,
    pub torn: usize,
    pub cuts: usize,
    pub faults: usize,
    pub dropped: usize,
    pub bodies: usize,
    pub lifetimes: usize,
    pub power_cuts: usize,
    pub segments: usize,
    /// Keys of which it was not found out whether an order explains them.
    pub undecided: usize,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.operations += other.operations;
        self.kills += other.kills;
        self.torn += other.torn;
        self.cuts += other.cuts;
        self.faults += other.faults;
        self.dropped += other.dropped;
        self.bodies += other.bodies;
        self.lifetimes += other.lifetimes;
        self.power_cuts += other.power_cuts;
        self.segments += other.segments;
        self.undecided += other.undecided;
    }
}
