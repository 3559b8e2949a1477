//! Values that pass as host streams.

use kvfuse_core::{Body, Bucket, Kind, Store};
use kvfuse_files::{Config, FileStore, survey};
use kvfuse_files_sim::director::{Call, Director, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::open::{SimDirectory, SimStream};
use kvfuse_files_sim::plain::Plain;
use kvfuse_transport::files::FileError;
use std::cell::Cell;
use std::rc::Rc;

fn store(disk: &Disk, seed: u64) -> FileStore<SimDirectory> {
    FileStore::new(
        Ok(disk.root(Plain::new(seed))),
        Config { segment: 1 << 10, split: 4 << 10, index: 512, small: 100, blob: 1000, ..Config::default() },
    )
}

fn begin(store: &dyn Store) -> (Box<dyn Body>, SimStream) {
    let mut body = store.create_body().unwrap();
    let stream = *body.take_stream().unwrap().downcast::<SimStream>().unwrap();
    (body, stream)
}

fn read(bucket: &dyn Bucket, key: &str) -> Option<(u64, Vec<u8>)> {
    let body = bucket.get_body(key).unwrap()?;
    Some((body.size, body.stream.downcast::<SimStream>().unwrap().read_all().unwrap()))
}

fn bodies(disk: &Disk) -> usize {
    disk.files().iter().filter(|(path, _)| path.starts_with("bodies/")).count()
}

#[test]
fn what_was_streamed_in_is_read_whole_and_streamed_out() {
    let disk = Disk::default();
    for size in [0, 1, 100, 101, 1000, 1001, 50_000, 2_500_000] {
        let value: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let (writer, reader) = (store(&disk, size as u64 + 1), store(&disk, size as u64 + 2));
        let bucket = writer.open("b").unwrap();
        let (mut body, mut stream) = begin(&writer);
        value.chunks(4096).for_each(|piece| stream.write(piece).unwrap());
        assert_ne!(bucket.get("k").unwrap(), Some(value.clone()), "seen before it was stored");
        bucket.set_body("k", &mut *body).unwrap();
        drop(body);
        let other = reader.open("b").unwrap();
        assert_eq!(other.get("k").unwrap(), Some(value.clone()), "{size}");
        assert_eq!(read(&*other, "k"), Some((size as u64, value)), "{size}");
        assert_eq!(bodies(&disk), 0, "{size}");
    }
    assert_eq!(read(&*store(&disk, 9).open("b").unwrap(), "other"), None);
}

#[test]
fn what_is_written_after_the_value_was_stored_is_not_part_of_it() {
    for size in [10, 3000] {
        let disk = Disk::default();
        let store = store(&disk, 1);
        let bucket = store.open("b").unwrap();
        let (mut body, mut stream) = begin(&store);
        stream.write(&vec![1; size]).unwrap();
        bucket.set_body("k", &mut *body).unwrap();
        stream.write(b"late").unwrap();
        assert_eq!(bucket.get("k").unwrap(), Some(vec![1; size]));
        assert_eq!(read(&*bucket, "k"), Some((size as u64, vec![1; size])));
        assert_eq!(bucket.set_body("k2", &mut *body).unwrap_err().kind(), Kind::InvalidArgument);
        assert_eq!(bucket.get("k2"), Ok(None));
    }
}

#[test]
fn a_body_dropped_before_it_is_stored_leaves_nothing() {
    let disk = Disk::default();
    let store = store(&disk, 1);
    let (body, mut stream) = begin(&store);
    stream.write(&[1; 3000]).unwrap();
    assert_eq!(bodies(&disk), 1);
    drop(body);
    assert!(disk.files().is_empty());
}

/// A disk that is full after so many writes.
struct Full {
    writes: Cell<usize>,
    plain: Rc<Plain>,
}

impl Director for Full {
    fn judge(&self, call: Call, _: &str) -> Verdict {
        let Call::Write(length) = call else { return Verdict::Go };
        match self.writes.get().checked_sub(1) {
            Some(left) => {
                self.writes.set(left);
                Verdict::Go
            }
            None => Verdict::Tear(length / 2, FileError::NoSpace),
        }
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

#[test]
fn a_stream_that_fails_leaves_the_old_value_and_no_file_once_its_body_is_dropped() {
    for writes in 0..5 {
        let disk = Disk::default();
        store(&disk, 1).open("b").unwrap().set("k", b"old").unwrap();
        let director = Rc::new(Full { writes: Cell::new(writes), plain: Plain::new(2) });
        let store = FileStore::new(Ok(disk.root(director)), Config { blob: 1000, ..Config::default() });
        let bucket = store.open("b").unwrap();
        let (body, mut stream) = begin(&store);
        let written = (0..5).map(|_| stream.write(&[7; 4096])).take_while(Result::is_ok).count();
        assert_eq!(written, writes);
        assert_eq!(stream.write(&[7]), Err(FileError::NoSpace), "and it stays so");
        assert_eq!(bucket.get("k").unwrap().as_deref(), Some(&b"old"[..]), "seen before it was stored");
        drop(body);
        assert_eq!(bodies(&disk), 0);
        assert_eq!(bucket.get("k").unwrap().as_deref(), Some(&b"old"[..]));
    }
}

#[test]
fn a_body_without_a_stream_is_the_empty_value_and_has_one_stream_at_most() {
    let disk = Disk::default();
    let store = store(&disk, 1);
    let bucket = store.open("b").unwrap();
    let mut body = store.create_body().unwrap();
    bucket.set_body("k", &mut *body).unwrap();
    assert_eq!(bucket.get("k"), Ok(Some(Vec::new())));
    let (mut body, _stream) = begin(&store);
    assert_eq!(body.take_stream().err().unwrap().kind(), Kind::InvalidArgument);
}

#[test]
fn a_body_finds_its_segment_although_others_seal_it_meanwhile() {
    let disk = Disk::default();
    let (one, two) = (store(&disk, 1), store(&disk, 2));
    let (bucket, other) = (one.open("b").unwrap(), two.open("b").unwrap());
    for round in 0..40 {
        let (mut body, mut stream) = begin(&one);
        stream.write(&vec![round; 2000 + usize::from(round)]).unwrap();
        for n in 0..30 {
            other.set(&format!("key {n}"), &[round; 90]).unwrap();
        }
        bucket.set_body("k", &mut *body).unwrap();
        assert_eq!(other.get("k").unwrap(), Some(vec![round; 2000 + usize::from(round)]));
    }
    let files = disk.files();
    assert!(files.iter().filter(|(path, _)| path.contains("/v")).count() < 30, "replaced values stay");
}

#[test]
fn a_torn_record_is_skipped_and_the_inspector_reports_its_bytes() {
    let disk = Disk::default();
    store(&disk, 1).open("b").unwrap().set("whole", b"kept").unwrap();
    let (path, whole) = disk.files().into_iter().find(|(path, _)| path.contains("/s")).unwrap();
    store(&disk, 2).open("b").unwrap().set("torn", b"lost with its last bytes").unwrap();
    // The second record loses its end, and a third follows it.
    let torn = disk.files().into_iter().find(|(p, _)| *p == path).unwrap().1.len() - 3;
    disk.change(&path, |file| file.truncate(torn));
    let next = store(&disk, 3);
    let bucket = next.open("b").unwrap();
    bucket.set("after", b"kept too").unwrap();
    assert_eq!(bucket.get("whole").unwrap().as_deref(), Some(&b"kept"[..]));
    assert_eq!(bucket.get("torn").unwrap(), None);
    assert_eq!(bucket.get("after").unwrap().as_deref(), Some(&b"kept too"[..]));
    let told = survey::bucket(&Rc::new(disk.root(Plain::new(4))), "b-b").unwrap();
    assert_eq!(told.segments.iter().map(|part| part.torn).sum::<u64>(), (torn - whole.len()) as u64);
    assert_eq!(told.damage, Vec::<String>::new());
}
