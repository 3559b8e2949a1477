//! What real disks and hosts do: a failed sync drops what it was to make last, a read gives less than was asked for, a
//! power cut takes a page and leaves a later one, a large append goes out in pieces.
//!
//! For each there is a mistake, which is noticed.

use kvfuse_core::{Error, Kind, Store};
use kvfuse_files::{Config, Durability, Flaw};
use kvfuse_files_sim::director::{Call, Director, Killed, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::lockstep;
use kvfuse_files_sim::plain::Plain;
use kvfuse_files_sim::steps::{self, Model, Opened, STEPS, fresh};
use kvfuse_files_sim::world::{Faults, Plan, WEATHERS, Weather, run};
use kvfuse_transport::files::FileError;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Bytes that a host appends in one piece.
const PIECE: usize = 64 << 10;

fn small(flaw: Option<Flaw>, durability: Durability) -> Config {
    Config { segment: 48, split: 400, index: 200, small: 100, blob: 200, durability, flaw, ..Config::default() }
}

/// Judges a call by its place, what it is, and its path.
type Judge = dyn Fn(usize, Call, &str) -> Verdict;

/// Does something to calls by their place.
struct Staged {
    calls: Cell<usize>,
    plain: Rc<Plain>,
    judge: Box<Judge>,
    piece: usize,
    pause: Box<dyn Fn()>,
}

impl Staged {
    fn new(judge: impl Fn(usize, Call, &str) -> Verdict + 'static) -> Self {
        let plain = Plain::new(1);
        Self { calls: Cell::new(0), plain, judge: Box::new(judge), piece: usize::MAX, pause: Box::new(|| ()) }
    }
}

impl Director for Staged {
    fn judge(&self, call: Call, path: &str) -> Verdict {
        let place = self.calls.get();
        self.calls.set(place + 1);
        (self.judge)(place, call, path)
    }

    fn pause(&self) {
        (self.pause)();
    }

    fn piece(&self) -> usize {
        self.piece
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

// ---- reads that come short ----

/// All steps where no read gives more than `most` bytes.
fn short_reads(most: usize, flaw: Option<Flaw>) -> Result<(), String> {
    let disk = Disk::default();
    let config = small(flaw, Durability::Relaxed);
    let director = move |call| if call == Call::Read { Verdict::Short(most) } else { Verdict::Go };
    let mut model = Model::new();
    for (seed, step) in (1..).zip(&STEPS) {
        // A fresh instance for each, which reads from the beginning, and draws other numbers.
        let staged = Staged { plain: Plain::new(seed), ..Staged::new(move |_, call, _| director(call)) };
        let opened = Opened::new(&disk, Rc::new(staged), config);
        let told = |what: &dyn std::fmt::Debug| format!("{most} bytes at a time, in {}: {what:?}", step.name);
        catch_unwind(AssertUnwindSafe(|| (step.act)(&opened)))
            .map_err(|_| told(&"a wrong answer"))?
            .map_err(|error| told(&error))?;
        (step.model)(&mut model);
        for (key, value) in &model {
            let found = opened.get(key).map_err(|error| told(&error))?;
            if found.as_ref() != Some(value) {
                return Err(told(&format!("{key:.20} has {} bytes", found.map_or(0, |value| value.len()))));
            }
        }
    }
    if steps::contents(&disk, config).ok() == Some(model) { Ok(()) } else { Err(format!("{most}: in the end")) }
}

const SHORT: [usize; 6] = [1, 7, 30, 64, 1000, 4095];

#[test]
fn a_store_works_on_a_host_that_gives_few_bytes_at_a_time() {
    for most in SHORT {
        assert_eq!(short_reads(most, None), Ok(()));
    }
}

#[test]
fn the_mistake_of_taking_a_short_read_for_the_end_is_noticed() {
    assert!(SHORT.iter().any(|most| short_reads(*most, Some(Flaw::ShortReadIsEnd)).is_err()));
}

// ---- syncs that fail ----

/// All steps, of which one sync or all of them fail and drop what they were to make last, each tried again a few times;
/// then a power cut that takes all that was not synced.
fn failed_sync(place: usize, call: Call, config: Config) -> Result<usize, String> {
    let disk = Disk::default();
    let director = Rc::new(Staged::new(move |at, now, _| match now {
        _ if at == place && now == call => Verdict::Drop(FileError::Io),
        _ => Verdict::Go,
    }));
    let opened = Opened::new(&disk, director.clone(), config);
    let (mut model, mut models) = (Model::new(), vec![Model::new()]);
    // Whether the last step is unknown, after which nothing is certain.
    let mut unknown = false;
    let mut told = format!("{call:?} {place}");
    for step in &STEPS {
        let mut after = model.clone();
        (step.model)(&mut after);
        models.push(after.clone());
        let mut done = false;
        for _ in 0..3 {
            match (step.act)(&opened) {
                Ok(()) => {
                    (model, done) = (after.clone(), true);
                    break;
                }
                Err(error) => {
                    told = format!("{told}, {}: {:?}", step.name, error.kind());
                    if error.kind() == Kind::OutcomeUnknown {
                        unknown = true;
                        break;
                    }
                }
            }
        }
        if !done {
            break;
        }
    }
    disk.power_cut(&mut |_| 0);
    let found = steps::contents(&disk, config).map_err(|error| format!("{told}: afterwards {error:?}"))?;
    let right = match config.durability {
        Durability::Full => found == model || unknown && models.last() == Some(&found),
        Durability::Relaxed => {
            found.iter().all(|(key, value)| models.iter().any(|model| model.get(key) == Some(value)))
        }
    };
    if !right {
        let lost: Vec<_> =
            model.iter().filter(|(key, value)| found.get(*key) != Some(value)).map(|(key, _)| key).collect();
        return Err(format!("{told}: afterwards {lost:.20?} were not as told"));
    }
    fresh(&disk, config, 31).set("after", b"1").map_err(|error| format!("{told}: afterwards {error:?}"))?;
    Ok(director.calls.get())
}

fn failed_syncs(flaw: Option<Flaw>, calls: &[Call]) -> Vec<String> {
    let mut wrong = Vec::new();
    for durability in [Durability::Relaxed, Durability::Full] {
        let config = small(flaw, durability);
        for call in calls {
            let count = failed_sync(usize::MAX, *call, config).unwrap();
            let each = (0..count).filter_map(|place| failed_sync(place, *call, config).err());
            wrong.extend(each.map(|why| format!("{durability:?}: {why}")));
        }
    }
    wrong
}

#[test]
fn what_a_failed_sync_dropped_is_not_acknowledged_until_it_is_written_again() {
    let wrong = failed_syncs(None, &[Call::Sync]);
    assert!(wrong.is_empty(), "{} schedules:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_a_failed_sync_of_a_directory_dropped_is_not_acknowledged() {
    let wrong = failed_syncs(None, &[Call::SyncDirectory]);
    assert!(wrong.is_empty(), "{} schedules:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_mistake_of_forgetting_a_failed_sync_is_noticed() {
    assert!(!failed_syncs(Some(Flaw::FailedSyncForgotten), &[Call::Sync]).is_empty());
}

// ---- lost pages ----

/// What the disk asks for each page with something that was not synced: whether it is lost, which is 0.
const PAGE_OR_NOT: usize = 2;

/// A counter is set behind a value of `filler` bytes and raised a little later; then the power is cut, and of all pages with
/// something that was not synced one is lost. Gives what the counter has then; `None` if there are not so many pages.
fn lost_page(filler: usize, lost: usize, flaw: Option<Flaw>) -> Result<Option<Option<Vec<u8>>>, Error> {
    let config = Config { flaw, ..Config::default() };
    let disk = Disk::default();
    let bucket = fresh(&disk, config, 1);
    bucket.set("first", b"1")?;
    bucket.increment("counter", 1, 0)?;
    bucket.set("filler", &vec![b'.'; filler])?;
    bucket.set("counter", b"1000")?;
    bucket.set("filler", &[b','; 300])?;
    bucket.increment("counter", 5, 0)?;
    drop(bucket);
    let mut pages = 0;
    disk.power_cut_by_pages(&mut |n| {
        pages += usize::from(n == PAGE_OR_NOT);
        if n == PAGE_OR_NOT && pages == lost + 1 { 0 } else { n }
    });
    let after = fresh(&disk, config, 2);
    let found = after.get("counter")?;
    after.set("after", b"1")?;
    assert_eq!(fresh(&disk, config, 3).get("after")?.as_deref(), Some(&b"1"[..]), "lost after the power cut");
    Ok((lost < pages).then_some(found))
}

/// What the counter has when each of the pages is lost, where the setting of the counter ends before a page does, in it,
/// and behind.
fn lost_pages(flaw: Option<Flaw>) -> Vec<Option<Vec<u8>>> {
    let each = |filler| (0..).map_while(move |lost| lost_page(filler, lost, flaw).unwrap());
    let found: Vec<_> = (3000..4000).step_by(100).flat_map(each).collect();
    assert!(found.len() > 1, "{found:?}");
    found
}

/// Whether the counter ever had what it has.
fn was_had(found: &Option<Vec<u8>>) -> bool {
    [None, Some(&b"1"[..]), Some(b"1000"), Some(b"1005")].contains(&found.as_deref())
}

#[test]
fn a_page_lost_before_a_kept_one_leaves_a_first_part_of_the_history() {
    let found = lost_pages(None);
    assert!(found.iter().all(was_had), "{found:?}");
}

#[test]
fn the_mistake_of_going_on_behind_a_lost_page_is_noticed() {
    assert!(!lost_pages(Some(Flaw::LostPageSkipped)).iter().all(was_had));
    let found = (0..3000).find_map(|seed| {
        let faults = Faults { lost_pages: true, ..Faults::NONE };
        run(Plan { faults, flaw: Some(Flaw::LostPageSkipped), ..Plan::new(Weather::PowerRelaxed, seed, 40) }).err()
    });
    assert!(found.is_some());
}

// ---- large appends ----

/// A bucket whose only segment has 240 KB of live data in its pages and is sealed; what follows it is not made.
fn sealed(config: Config) -> Disk {
    let disk = Disk::default();
    let director = Staged::new(|_, call, path| match call {
        Call::Open if path == "s.1" || path.ends_with("/s.1") => Verdict::Kill,
        _ => Verdict::Go,
    });
    let bucket = Opened::new(&disk, Rc::new(director), config);
    let fill = || (0..1000).for_each(|n| bucket.set(&format!("key {}", n % 80), &vec![n as u8; 3000]).unwrap());
    assert!(catch_unwind(AssertUnwindSafe(fill)).is_err_and(|payload| payload.is::<Killed>()), "it was never sealed");
    disk
}

/// Two instances that find a sealed segment at the same moment.
fn bases_in_step(flaw: Option<Flaw>) -> Vec<Result<(), Error>> {
    let config = Config { flaw, ..Config::default() };
    lockstep::run(&sealed(config), config, PIECE, 2, |store, number| {
        store.open("bucket")?.set(&format!("by {number}"), b"value")
    })
}

#[test]
fn two_instances_that_make_a_large_base_in_step_both_come_to_an_end() {
    assert_eq!(bases_in_step(None), [Ok(()), Ok(())]);
}

/// Sets a value of so many bytes, while another instance writes between any two pieces of an append.
fn set_between(bytes: usize, flaw: Option<Flaw>) -> Result<(), Error> {
    let config = Config { flaw, ..Config::default() };
    let disk = Disk::default();
    let other = fresh(&disk, config, 2);
    other.set("other", b"before")?;
    let (count, told) = (Cell::new(0), Rc::new(RefCell::new(Ok(()))));
    let failed = told.clone();
    let pause = move || {
        count.set(count.get() + 1);
        if let Err(error) = other.set("other", format!("{}", count.get()).as_bytes()) {
            *failed.borrow_mut() = Err(error);
        }
    };
    let director = Staged { piece: PIECE, pause: Box::new(pause), ..Staged::new(|_, _, _| Verdict::Go) };
    let bucket = Opened::new(&disk, Rc::new(director), config);
    bucket.set("large", &vec![7; bytes])?;
    assert_eq!(bucket.get("large")?, Some(vec![7; bytes]));
    told.replace(Ok(()))
}

#[test]
fn a_value_of_any_size_is_stored_though_others_append_between_the_pieces_of_an_append() {
    for bytes in [60_000, 64_000, 65_000, 65_400, 65_500, 65_536, 65_537, 66_000, 200_000] {
        assert_eq!(set_between(bytes, None), Ok(()), "{bytes}");
    }
}

#[test]
fn the_mistake_of_appending_more_than_a_host_takes_in_one_piece_is_noticed() {
    assert!(bases_in_step(Some(Flaw::LargeAppends)).iter().any(Result::is_err));
    assert!(set_between(65_536, Some(Flaw::LargeAppends)).is_err());
}

// ---- streams ----

#[test]
fn the_mistake_of_naming_a_stream_before_its_move_lasts_is_noticed() {
    let found = (0..3000).find_map(|seed| {
        WEATHERS.iter().find_map(|weather| {
            let faults = Faults { bodies: true, ..Faults::NONE };
            let plan = Plan { faults, flaw: Some(Flaw::BodyMoveNotSynced), ..Plan::new(*weather, seed, 15) };
            run(plan).err().filter(|why| why.contains("is missing"))
        })
    });
    assert!(found.is_some());
}

// ---- all of it ----

#[test]
fn no_interleaving_on_such_a_disk_breaks_a_promise() {
    for weather in WEATHERS {
        let (seeds, long) = match weather {
            Weather::Large => (100, 60),
            // Instances that get no answer soon have more possible orders than can be tried.
            Weather::PowerMixed => (1000, 20),
            _ => (1000, 40),
        };
        for seed in 0..seeds {
            let operations = if seed % 2 == 0 { 15 } else { long };
            let plan = Plan { faults: Faults::ALL, ..Plan::new(weather, seed, operations) };
            let replay = format!(
                "FAULTS=all cargo run -p kvfuse-files-sim --bin soak -- replay {weather:?} {seed} {operations}"
            );
            let counts = run(plan).unwrap_or_else(|why| panic!("{why}\n{replay}"));
            assert_eq!(counts.undecided, 0, "{replay}");
        }
    }
}
