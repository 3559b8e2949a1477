//! Many instances on one disk, interleaved at every file operation by a seed.
//!
//! Each instance is a coroutine that comes back to the scheduler before each of its file operations. The scheduler
//! chooses who goes next, who sleeps for long, who dies, and which operation fails or is torn. The same seed gives the
//! same run.

use crate::director::{Call, Director, Killed, Verdict};
use crate::disk::Disk;
use crate::history::History;
use crate::plain::{Plain, mix};
use crate::work;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use kvfuse_core::Store;
use kvfuse_files::{Config, Durability, FileStore, Flaw};
use kvfuse_transport::files::FileError;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

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
}

impl Weather {
    /// Whether file operations fail.
    pub fn is_faulty(self) -> bool {
        matches!(self, Self::Faults | Self::PowerMixed)
    }
}

pub const WEATHERS: [Weather; 5] =
    [Weather::Kills, Weather::Faults, Weather::PowerRelaxed, Weather::PowerFull, Weather::PowerMixed];

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
    /// Steps for which an instance sleeps.
    asleep: Vec<usize>,
    steps: usize,
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
        self.power_cuts += other.power_cuts;
        self.segments += other.segments;
        self.undecided += other.undecided;
    }
}

type Pause = Yielder<(), ()>;

/// One instance's hand on the disk.
struct Agent {
    number: usize,
    shared: Rc<RefCell<Shared>>,
    /// Of the coroutine it runs in.
    yielder: Cell<*const Pause>,
    /// Whether to tell every call.
    trace: bool,
}

impl Agent {
    fn suspend(&self) {
        // SAFETY: set at the beginning of the coroutine that this is called in, whose yielder outlives its body.
        if let Some(yielder) = unsafe { self.yielder.get().as_ref() } {
            yielder.suspend(());
        }
    }
}

impl Director for Agent {
    fn judge(&self, call: Call, path: &str) -> Verdict {
        self.suspend();
        let verdict = self.decide(call);
        if self.trace {
            eprintln!("{:>5} {}: {call:?} {path} {verdict:?}", self.shared.borrow().counts.steps, self.number);
        }
        verdict
    }

    fn pause(&self) {
        self.suspend();
    }

    fn random(&self) -> u64 {
        self.shared.borrow_mut().random.draw()
    }
}

impl Agent {
    fn decide(&self, call: Call) -> Verdict {
        let mut shared = self.shared.borrow_mut();
        let shared = &mut *shared;
        let (random, counts) = (&mut shared.random, &mut shared.counts);
        counts.steps += 1;
        if random.chance(60) {
            let long = [5, 30, 200, 1000][random.below(4)];
            shared.asleep[self.number] = shared.steps + random.below(long);
        }
        let length = match call {
            Call::Append(length) | Call::Write(length) => Some(length),
            _ => None,
        };
        if random.chance(60) {
            counts.kills += 1;
            return match length {
                Some(length) if random.chance(7000) => {
                    counts.torn += 1;
                    Verdict::KillAfter(random.below(length + 1))
                }
                _ => Verdict::Kill,
            };
        }
        if matches!(call, Call::Append(_)) && random.chance(100) {
            counts.cuts += 1;
            return Verdict::Cut(random.below(length.unwrap_or(0) + 1));
        }
        if shared.weather.is_faulty() && random.chance(150) {
            counts.faults += 1;
            let errors = [FileError::Io, FileError::NoSpace, FileError::TooManyOpen];
            let error = errors[random.below(errors.len())];
            return match length {
                Some(length) if random.chance(7000) => Verdict::Tear(random.below(length + 2), error),
                _ => Verdict::Fail(error),
            };
        }
        Verdict::Go
    }
}

/// How to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub weather: Weather,
    pub flaw: Option<Flaw>,
    /// Operations of each instance.
    pub operations: usize,
}

/// Runs a plan.
///
/// # Errors
/// What was not as it has to be.
pub fn run(plan: Plan) -> Result<Counts, String> {
    let result = catch_unwind(AssertUnwindSafe(|| run_once(plan)));
    match result {
        Ok(result) => result,
        Err(payload) => {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or(payload.downcast_ref::<&str>().map(ToString::to_string));
            Err(format!("panicked: {}", text.unwrap_or_default()))
        }
    }
}

fn run_once(plan: Plan) -> Result<Counts, String> {
    let mut random = Random::new(plan.seed);
    let power = matches!(plan.weather, Weather::PowerRelaxed | Weather::PowerFull | Weather::PowerMixed);
    let full = matches!(plan.weather, Weather::PowerFull | Weather::PowerMixed)
        || (plan.weather != Weather::PowerRelaxed && random.chance(1000));
    let config = Config {
        segment: [8, 32, 128, 1024][random.below(4)],
        small: [16, 64, 4096][random.below(3)],
        blob: [40, 200, 100_000][random.below(3)],
        memory: [0, 4 << 10, 12 << 20][random.below(3)],
        durability: if full { Durability::Full } else { Durability::Relaxed },
        flaw: plan.flaw,
    };
    let instances = 2 + random.below(3);
    let rounds = if power { 1 + random.below(3) } else { 1 };
    let disk = Disk::default();
    let shared = Rc::new(RefCell::new(Shared {
        random,
        history: History::default(),
        weather: plan.weather,
        asleep: Vec::new(),
        steps: 0,
        counts: Counts::default(),
    }));
    work::prepare(&disk, config, &mut shared.borrow_mut())?;
    for round in 0..rounds {
        let cut = power.then(|| shared.borrow_mut().random.below(plan.operations * instances * 6));
        interleave(&disk, config, &shared, instances, plan.operations, cut)?;
        if cut.is_some() {
            let mut shared = shared.borrow_mut();
            shared.counts.power_cuts += 1;
            let trace = std::env::var_os("TRACE").is_some();
            let show = |when: &str| {
                for (path, bytes) in disk.files() {
                    eprintln!("      {when} {path} {}", bytes.len());
                }
            };
            if trace {
                show("before");
            }
            let random = &mut shared.random;
            disk.power_cut(&mut |n| match random.below(4) {
                0 => 0,
                1 => n,
                _ => random.below(n + 1),
            });
        }
        if std::env::var_os("TRACE").is_some() {
            for (path, bytes) in disk.files() {
                eprintln!("      after {path} {}", bytes.len());
            }
        }
        let store = FileStore::new(Ok(disk.root(Plain::new(plan.seed ^ round as u64))), config);
        let bucket = store.open(work::BUCKET).map_err(|error| error.to_string())?;
        let mut shared = shared.borrow_mut();
        match plan.weather {
            Weather::PowerRelaxed => work::restart(&*bucket, &mut shared)?,
            _ => work::look(&*bucket, &mut shared)?,
        }
    }
    let mut shared = shared.borrow_mut();
    shared.counts.undecided += shared.history.check()?;
    shared.counts.segments = disk.files().iter().filter(|(path, _)| path.contains("/s")).count();
    shared.counts.operations = shared.history.events.len();
    Ok(shared.counts)
}

/// Runs all instances to their end, or to the step at which the power is cut.
fn interleave(
    disk: &Disk,
    config: Config,
    shared: &Rc<RefCell<Shared>>,
    instances: usize,
    operations: usize,
    cut: Option<usize>,
) -> Result<(), String> {
    let mut running: Vec<_> = (0..instances)
        .map(|number| {
            let (disk, shared) = (disk.clone(), shared.clone());
            Some(Coroutine::new(move |yielder: &Pause, (): ()| {
                let mut left = operations;
                let mut config = config;
                if number > 0 && shared.borrow().weather == Weather::PowerMixed {
                    config.durability = Durability::Relaxed;
                }
                while left > 0 {
                    let trace = std::env::var_os("TRACE").is_some();
                    let agent = Rc::new(Agent { number, shared: shared.clone(), yielder: Cell::new(yielder), trace });
                    let life = catch_unwind(AssertUnwindSafe(|| {
                        let store = FileStore::new(Ok(disk.root(agent)), config);
                        work::live(&store, number, &shared, &mut left)
                    }));
                    match life {
                        Ok(result) => result?,
                        Err(payload) if payload.is::<Killed>() => {}
                        Err(payload) => resume_unwind(payload),
                    }
                }
                Ok::<(), String>(())
            }))
        })
        .collect();
    shared.borrow_mut().asleep = vec![0; instances];
    let mut steps = 0;
    let mut last = 0;
    while running.iter().any(Option::is_some) {
        steps += 1;
        if cut.is_some_and(|cut| steps > cut) {
            break;
        }
        let number = {
            let mut shared = shared.borrow_mut();
            shared.steps += 1;
            let now = shared.steps;
            let there: Vec<_> = (0..instances).filter(|number| running[*number].is_some()).collect();
            let awake: Vec<_> = there.iter().copied().filter(|number| shared.asleep[*number] <= now).collect();
            if awake.contains(&last) && shared.random.chance(4000) {
                last
            } else {
                let from = if awake.is_empty() { there } else { awake };
                from[shared.random.below(from.len())]
            }
        };
        last = number;
        if steps > 1_000_000 {
            return Err("the run does not come to an end".to_string());
        }
        let Some(coroutine) = &mut running[number] else { continue };
        if let CoroutineResult::Return(result) = coroutine.resume(()) {
            running[number] = None;
            result?;
        }
    }
    Ok(())
}
