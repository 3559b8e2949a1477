//! Many instances on one disk, interleaved at every file operation by a seed.
//!
//! Each instance is a coroutine that comes back to the scheduler before each of its file operations. The scheduler
//! chooses who goes next, who sleeps for long, who dies, and which operation fails or is torn. The same seed gives the
//! same run.

use crate::director::{Call, Director, Killed, Verdict};
use crate::disk::Disk;
use crate::history::History;
use crate::plain::Plain;
pub use crate::shared::{Counts, Faults, Random, Shared, WEATHERS, Weather};
use crate::work;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use kvfuse_files::{Config, Durability, FileStore, Flaw};
use kvfuse_transport::files::FileError;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

/// Bytes that a host reads and appends at once.
const PIECE: usize = 64 << 10;

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

    fn piece(&self) -> usize {
        if self.shared.borrow().faults.pieces { PIECE } else { usize::MAX }
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
        let drops = match call {
            Call::Sync => shared.faults.failed_syncs,
            Call::SyncDirectory => shared.faults.failed_directory_syncs,
            _ => false,
        };
        if shared.weather.is_faulty() && drops && random.chance(400) {
            counts.dropped += 1;
            return Verdict::Drop(FileError::Io);
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
        if call == Call::Read {
            let short = shared.faults.short_reads && random.chance(500);
            return Verdict::Short(if short { [1, 5, 20, 40, 100, 1000][random.below(6)] } else { PIECE });
        }
        Verdict::Go
    }
}

/// How to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub weather: Weather,
    pub faults: Faults,
    pub flaw: Option<Flaw>,
    /// Operations of each instance.
    pub operations: usize,
}

impl Plan {
    /// A run of the store as it is, with all that it withstands.
    pub fn new(weather: Weather, seed: u64, operations: usize) -> Self {
        Self { seed, weather, faults: Faults::WITHSTOOD, flaw: None, operations }
    }
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

/// Bytes of the values of a run, and settings that go with them.
fn sizes(random: &mut Random, plan: Plan, config: Config) -> (Config, &'static [usize]) {
    if plan.weather == Weather::Large {
        let segment = [32 << 10, 64 << 10, 256 << 10][random.below(3)];
        let config = Config { segment, small: 4096, blob: 64 << 10, ..config };
        return (config, &[300, 6000, 6000, 6000, 30_000, 65_500, 66_000]);
    }
    if plan.faults.lost_pages && random.chance(7000) {
        // Of which some fill pages, in segments that often have more than one page that was not synced.
        let segment = [config.segment, 16 << 10][random.below(2)];
        return (Config { segment, index: segment.max(config.index), ..config }, &[0, 8, 60, 300, 1500, 4000]);
    }
    (config, &[0, 8, 30, 60, 120, 300])
}

fn run_once(plan: Plan) -> Result<Counts, String> {
    let mut random = Random::new(plan.seed);
    let power = matches!(plan.weather, Weather::PowerRelaxed | Weather::PowerFull | Weather::PowerMixed);
    let full = matches!(plan.weather, Weather::PowerFull | Weather::PowerMixed)
        || (plan.weather != Weather::PowerRelaxed && random.chance(1000));
    let segment = [8, 32, 128, 1024][random.below(4)];
    let config = Config {
        segment,
        split: segment * [1, 4, 16][random.below(3)],
        index: [8, 100, 400][random.below(3)],
        small: [16, 64, 4096][random.below(3)],
        blob: [40, 200, 100_000][random.below(3)],
        memory: [0, 4 << 10, 12 << 20][random.below(3)],
        durability: if full { Durability::Full } else { Durability::Relaxed },
        flaw: plan.flaw,
    };
    let (config, sizes) = sizes(&mut random, plan, config);
    let instances = 2 + random.below(3);
    let rounds = if power { 1 + random.below(3) } else { 1 };
    let disk = Disk::default();
    let shared = Rc::new(RefCell::new(Shared {
        random,
        history: History::default(),
        weather: plan.weather,
        faults: plan.faults,
        sizes,
        asleep: Vec::new(),
        steps: 0,
        counts: Counts::default(),
    }));
    work::prepare(&disk, config, &mut shared.borrow_mut())?;
    for round in 0..rounds {
        let cut = power.then(|| shared.borrow_mut().random.below(plan.operations * instances * 6));
        interleave(&disk, config, &shared, instances, plan.operations, cut)?;
        if cut.is_some() {
            let shared = &mut *shared.borrow_mut();
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
            let by_pages = shared.faults.lost_pages && random.chance(5000);
            let mut choose = |n| match random.below(4) {
                0 => 0,
                1 => n,
                _ => random.below(n + 1),
            };
            if by_pages {
                disk.power_cut_by_pages(&mut choose);
            } else {
                disk.power_cut(&mut choose);
            }
        }
        if std::env::var_os("TRACE").is_some() {
            for (path, bytes) in disk.files() {
                eprintln!("      after {path} {}", bytes.len());
            }
        }
        // The failure was reported to some instance.
        disk.forget_failures();
        let store = FileStore::new(Ok(disk.root(Plain::new(plan.seed ^ round as u64))), config);
        let mut shared = shared.borrow_mut();
        match plan.weather {
            Weather::PowerRelaxed => {
                // What begins anew then has no end.
                pass(&disk, &mut shared, 1000);
                work::restart(&store, &mut shared)?;
            }
            _ => work::look(&store, &mut shared)?,
        }
    }
    let mut shared = shared.borrow_mut();
    shared.counts.undecided += shared.history.check()?;
    shared.counts.segments = disk.files().iter().filter(|(path, _)| path.contains("/s")).count();
    shared.counts.operations = shared.history.events.len();
    Ok(shared.counts)
}

/// Moves the clock on.
fn pass(disk: &Disk, shared: &mut Shared, milliseconds: u64) {
    disk.pass(Duration::from_millis(milliseconds));
    shared.history.pass(disk.now().as_millis() as u64);
}

/// Far more calls than any plan takes.
const MOST_STEPS: usize = 20_000_000;

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
                        work::live(&store, number, (&disk, &shared), &mut left)
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
        if steps > MOST_STEPS {
            return Err(format!("the instances have not come to an end after {MOST_STEPS} calls: they hang"));
        }
        let number = {
            let mut shared = shared.borrow_mut();
            shared.steps += 1;
            let now = shared.steps;
            if shared.faults.lifetimes && shared.random.chance(150) {
                let time = [1, 5, 30][shared.random.below(3)];
                pass(disk, &mut shared, time);
            }
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
