//! That no guest is forgotten: one that nothing runs would show nothing.

#![allow(clippy::unwrap_used, reason = "test code")]

use kvfuse_conformance::guests::{GUESTS, component};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_generation_has_a_guest_and_every_guest_a_generation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/examples");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<_> = files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(files, GUESTS.iter().map(|guest| guest.name.to_string()).collect());
}

#[test]
fn every_guest_is_inside_and_imports_its_generation_only() {
    for guest in GUESTS {
        component(guest, None).unwrap();
    }
}
