//! `FileStore::upgrade` moves every format on to the present one, and may be killed anywhere.

use super::{At, check, configs};
use kvfuse_core::Store;
use kvfuse_files::upgrade::Upgraded;
use kvfuse_files::{Config, FileStore, survey};
use kvfuse_files_sim::director::Killed;
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::golden::{self, Expected};
use kvfuse_files_sim::plain::Plain;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// The name of each bucket's directory with the bucket's own.
fn directories(disk: &Disk, names: impl Iterator<Item = String>) -> Vec<(String, String)> {
    let all = survey::store(&disk.root(Plain::new(1))).unwrap().buckets;
    let plain = |directory: &str| match survey::bucket_name(directory) {
        Some(survey::Name::Plain(name)) => Some(name),
        _ => None,
    };
    // Only one has a name that is not in that of its directory.
    let long = names.into_iter().find(|name| all.iter().all(|directory| plain(directory).as_ref() != Some(name)));
    all.iter().map(|directory| (directory.clone(), plain(directory).or(long.clone()).unwrap())).collect()
}

/// Calls at each of which an upgrade is killed, and how far the places behind them are from each other. It has no divisor in
/// common with the calls that one segment takes.
const MOST: usize = 120;
const STRIDE: usize = 97;

fn upgrade(disk: &Disk, seed: u64, config: Config, directory: &str) -> Upgraded {
    let mut parts = Vec::new();
    let store = FileStore::new(Ok(disk.root(Plain::new(seed))), config);
    let done = store.upgrade(directory, &mut |part| parts.push(part)).unwrap();
    assert!(parts.is_sorted() && parts.iter().all(|part| (0.0..=1.0).contains(part)), "{parts:?}");
    done
}

#[test]
fn an_upgrade_moves_every_segment_on_and_finds_nothing_to_do_after_that() {
    for path in golden::all() {
        let older = path.file_name().is_some_and(|name| name == "format-2");
        for (at, config) in configs().into_iter().enumerate() {
            let (disk, buckets) = golden::load(&path);
            let mut all = Upgraded::default();
            for (directory, name) in directories(&disk, buckets.keys().cloned()) {
                let before = disk.files();
                let done = upgrade(&disk, 1, config, &directory);
                all.segments += done.segments;
                assert!(done.segments > 0 || disk.files() == before, "{name:.40}: files changed");
                assert_eq!((done.segments > 0), (done.bytes > 0));
                let again = disk.files();
                assert_eq!(upgrade(&disk, 2, config, &directory), Upgraded::default(), "{name:.40}");
                assert!(disk.files() == again, "{name:.40}: files changed");
                let looked = survey::verify(&Rc::new(disk.root(Plain::new(4))), &directory).unwrap();
                assert_eq!(looked.damage, [""; 0], "{name:.40}");
                let bucket = FileStore::new(Ok(disk.root(Plain::new(3))), config).open(&name).unwrap();
                check(&*bucket, &buckets[&name], &format!("{name:.40}, settings {at}"));
            }
            assert_eq!(older, all.segments > 30, "{all:?}");
        }
    }
}

/// Kills an upgrade at a call, cuts the power or not, and looks; gives whether it was killed.
fn killed(
    disk: &Disk,
    names: (&str, &str),
    expected: &Expected,
    config: Config,
    place: usize,
    keep: Option<usize>,
) -> bool {
    let ((directory, name), disk) = (names, disk.fork());
    let director = Rc::new(At { place, calls: Cell::new(0), seed: Cell::new(5) });
    let store = FileStore::new(Ok(disk.root(director)), config);
    let life = catch_unwind(AssertUnwindSafe(|| store.upgrade(directory, &mut |_| {}).unwrap()));
    let killed = match life {
        Ok(_) => false,
        Err(payload) => {
            assert!(payload.is::<Killed>());
            true
        }
    };
    if let Some(keep) = keep {
        disk.power_cut(&mut |n| n * keep / 2);
    }
    let told = format!("{name:.40} killed at call {place}, kept {keep:?}");
    check(&*FileStore::new(Ok(disk.root(Plain::new(7))), config).open(name).unwrap(), expected, &told);
    // The next one does the rest.
    upgrade(&disk, 8, config, directory);
    assert_eq!(upgrade(&disk, 9, config, directory), Upgraded::default(), "{told}");
    check(&*FileStore::new(Ok(disk.root(Plain::new(10))), config).open(name).unwrap(), expected, &told);
    killed
}

#[test]
fn an_upgrade_may_be_killed_anywhere_and_the_next_one_does_the_rest() {
    for path in golden::all() {
        let (disk, buckets) = golden::load(&path);
        let [default, small, _] = configs();
        for (config, keep) in [(default, None), (small, Some(0))] {
            for (directory, name) in directories(&disk, buckets.keys().cloned()) {
                let killed = |place: usize| killed(&disk, (&directory, &name), &buckets[&name], config, place, keep);
                if (0..MOST).any(|place| !killed(place)) {
                    continue;
                }
                // Each segment goes the same way: of many, some places in each.
                let mut place = MOST;
                while killed(place) {
                    place += STRIDE;
                }
            }
        }
    }
}
