//! An instance sleeps while it makes a split, and others complete it, and go on in its children.

use kvfuse_core::Store;
use kvfuse_files::{Config, FileStore, Flaw};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::plain::{Before, Plain};
use kvfuse_files_sim::steps::list;

/// The keys that are lost for whichever call an instance sleeps before, and the number of its calls.
fn lost(flaw: Option<Flaw>) -> (Vec<String>, usize) {
    let config = Config { segment: 64, split: 1 << 10, blob: 100, flaw, ..Config::default() };
    let long = |n: usize| format!("{n} {}", "long".repeat(1250));
    let mut lost = Vec::new();
    for call in 1.. {
        let disk = Disk::default();
        let large = Config { segment: 1 << 20, split: 1 << 20, ..config };
        let before = FileStore::new(Ok(disk.root(Plain::new(4))), large).open("b").unwrap();
        // Their files are in the root's directory, also when the root has split.
        for n in 0..6 {
            before.set(&format!("large {n}"), &[7; 200]).unwrap();
            before.set(&long(n), b"").unwrap();
        }
        let others = FileStore::new(Ok(disk.root(Plain::new(1))), config).open("b").unwrap();
        let act = {
            let others = others.clone();
            move || (0..600).for_each(|n| others.set(&format!("other {}", n % 40), &[b'x'; 40]).unwrap())
        };
        // From the first call for a child of the root on.
        let sleeper = Before::new(call, "/s0.0", act);
        let bucket = FileStore::new(Ok(disk.root(sleeper.clone())), config).open("b").unwrap();
        (0..50).for_each(|n| bucket.set(&format!("small {n}"), &[b'y'; 40]).unwrap());
        let fresh = FileStore::new(Ok(disk.root(Plain::new(3))), config).open("b").unwrap();
        for n in 0..6 {
            if fresh.get(&format!("large {n}")) != Ok(Some(vec![7; 200])) {
                lost.push(format!("the value of large {n}, asleep before call {call}"));
            }
        }
        match list(&*fresh) {
            Ok(keys) => (0..6).for_each(|n| assert!(keys.contains(&long(n)), "{n} is silently missing")),
            Err(error) => lost.push(format!("{error}, asleep before call {call}")),
        }
        if sleeper.left.get() > 0 {
            return (lost, call);
        }
    }
    unreachable!()
}

#[test]
fn who_sleeps_while_others_complete_a_split_removes_nothing_that_is_still_named() {
    let (lost, calls) = lost(None);
    assert!(lost.is_empty(), "{lost:#?}");
    assert!(calls > 100, "{calls}");
}

#[test]
fn the_mistake_of_removing_what_a_slow_maker_does_not_know_of_is_noticed() {
    assert!(!lost(Some(Flaw::SlowMakerCollects)).0.is_empty());
}
