//! What is done to each bucket of a golden directory.

use super::*;

pub type Stage = fn(&mut Writing<'_>);

/// The buckets: what each is called, and what is done to it. The files at which instances are killed are
/// those that format 3 makes with these settings; for another format that has to be looked at again.
pub const STAGES: [(&str, Stage); 30] = [
    ("default", |w| {
        w.mixed(Config::default());
        w.far(Config::default());
    }),
    (
        "A name that becomes longer than a file's may be: Ärger, 世界; and longer, and longer, and longer, and longer, and longer, and longer yet",
        |w| {
            w.mixed(SMALL);
            w.far(SMALL);
        },
    ),
    ("compacted", |w| {
        w.mixed(MEDIUM);
        let bucket = w.plain(MEDIUM);
        w.compact(&*bucket, 40);
    }),
    ("split", |w| {
        w.mixed(SMALL);
        w.far(SMALL);
        let bucket = w.plain(SMALL);
        w.grow(&*bucket, 170);
        w.compact(&*bucket, 10);
        (0..170).step_by(9).for_each(|n| w.delete(&*bucket, &format!("key {n}")));
    }),
    ("nothing yet", |w| {
        w.staged(
            SMALL,
            |call, path| matches!(call, Call::Append(_)) && is_segment(path),
            kill,
            |_, bucket| {
                drop(bucket.set("lost", b"lost"));
            },
        );
    }),
    ("everything deleted", |w| {
        let bucket = w.plain(SMALL);
        w.compact(&*bucket, 5);
        (0..4).for_each(|n| w.delete(&*bucket, &format!("again {n}")));
    }),
    ("sealed, no successor", |w| {
        w.mixed(MEDIUM);
        let next = |call, path: &str| call == Call::Open && path == "s.2";
        w.staged(MEDIUM, next, kill, |w, bucket| w.compact(bucket, 100));
    }),
    ("sealed, successor without a base", |w| {
        w.staged(
            SMALL,
            |call, path| matches!(call, Call::Append(_)) && path == "s.2",
            half,
            |w, bucket| {
                w.compact(bucket, 200);
            },
        );
    }),
    ("sealed, successor with pages alone", |w| {
        w.staged(
            SMALL,
            |call, path| matches!(call, Call::Append(_)) && path == "s.2",
            |_, _, seen| if seen == 1 { Verdict::Kill } else { Verdict::Go },
            |w, bucket| w.compact(bucket, 200),
        );
    }),
    ("sealed, successor not in the log", |w| {
        let log = |call, path: &str| matches!(call, Call::Append(_)) && path == "n";
        w.staged(
            SMALL,
            log,
            |_, _, seen| if seen == 2 { Verdict::Kill } else { Verdict::Go },
            |w, bucket| {
                w.compact(bucket, 200);
            },
        );
    }),
    ("sealed file left behind", |w| {
        w.staged(SMALL, |call, path| call == Call::Unlink && path == "s.2", kill, |w, bucket| w.compact(bucket, 200));
    }),
    ("half split", |w| {
        w.mixed(MEDIUM);
        w.staged(MEDIUM, |call, path| call == Call::Open && path == "s7.0", kill, |w, bucket| w.grow(bucket, 300));
    }),
    ("half split, torn child", |w| {
        w.staged(
            SMALL,
            |call, path| matches!(call, Call::Append(_)) && path == "s7.0",
            half,
            |w, bucket| {
                w.grow(bucket, 200);
            },
        );
    }),
    ("torn at the end", |w| {
        w.mixed(Config::default());
        w.staged(
            Config::default(),
            |call, path| matches!(call, Call::Append(_)) && is_segment(path),
            half,
            |_, b| {
                drop(b.set("torn", b"this never happened"));
            },
        );
        w.expected.absent.insert("torn".into());
    }),
    ("torn in the middle", |w| {
        w.mixed(Config::default());
        for _ in 0..2 {
            w.staged(
                Config::default(),
                |call, path| matches!(call, Call::Append(_)) && is_segment(path),
                half,
                |_, b| {
                    drop(b.set("torn", b"this never happened"));
                },
            );
        }
        w.expected.absent.insert("torn".into());
        let bucket = w.plain(Config::default());
        w.set(&*bucket, "behind it", b"this did");
    }),
    ("unsettled anchor", |w| {
        // Its second copy could not be written; all the same its maker went on.
        let second = |_: Call, _: &str, seen| match seen {
            1 => Verdict::Fail(FileError::NoSpace),
            _ => Verdict::Go,
        };
        w.staged(
            SMALL,
            |call, path| matches!(call, Call::Append(_)) && path == "anchor",
            second,
            |w, bucket| {
                w.compact(bucket, 3);
            },
        );
    }),
    ("only an anchor", |w| {
        w.staged(
            SMALL,
            |call, path| call == Call::Sync && path == "anchor",
            kill,
            |_, bucket| {
                drop(bucket.set("lost", b"lost"));
            },
        );
    }),
    ("streamed", |w| {
        let (plain, bucket) = (Plain::new(77), w.plain(SMALL));
        w.compact(&*bucket, 3);
        let store = FileStore::new(Ok(w.disk.root(plain)), SMALL);
        for size in [0, 10, 150, 700] {
            let (key, value) = (format!("stream of {size}"), vec![b's'; size]);
            let mut body = store.create_body().unwrap();
            let mut stream = *body.take_stream().unwrap().downcast::<SimStream>().unwrap();
            stream.write(&value).unwrap();
            store.open(w.name).unwrap().set_body(&key, &mut *body).unwrap();
            // What comes late is behind the value's end.
            stream.write(b"late").unwrap();
            w.expected.values.insert(key, value);
        }
    }),
    ("blobs", |w| {
        let bucket = w.plain(Config { segment: 256, ..SMALL });
        for round in 0..20 {
            (0..6).for_each(|n| w.set(&*bucket, &format!("blob {n}"), &vec![b'a' + round; 100 + 15 * n]));
        }
    }),
    ("zeros at the end", |w| {
        // As a power cut leaves them.
        w.mixed(Config::default());
        w.disk.change("b-zeros%20at%20the%20end/s.0", |file| file.extend([0; 1500]));
    }),
    ("zeros in the middle", |w| {
        w.mixed(Config::default());
        w.disk.change("b-zeros%20in%20the%20middle/s.0", |file| file.extend([0; 1500]));
        let bucket = w.plain(Config::default());
        w.set(&*bucket, "behind them", b"is there");
    }),
    ("written behind zeros", |w| {
        // What is written there does not count, and its writer dies before it seals the segment.
        w.mixed(Config::default());
        w.disk.change("b-written%20behind%20zeros/s.0", |file| file.extend([0; 1500]));
        w.staged(
            Config::default(),
            |call, path| matches!(call, Call::Append(_)) && is_segment(path),
            |_, _, seen| if seen == 1 { Verdict::Kill } else { Verdict::Go },
            |_, b| drop(b.set("behind them", b"this does not count")),
        );
        w.expected.absent.insert("behind them".into());
    }),
    ("sealed behind zeros", |w| {
        w.mixed(Config::default());
        w.disk.change("b-sealed%20behind%20zeros/s.0", |file| file.extend([0; 1500]));
        let next = |call, path: &str| call == Call::Open && path == "s.1";
        w.staged(Config::default(), next, kill, |_, b| drop(b.set("behind them", b"this does not count")));
        w.expected.absent.insert("behind them".into());
    }),
    ("base of many pages", |w| {
        w.mixed(WIDE);
        let bucket = w.plain(Config { segment: 4096, ..WIDE });
        w.grow(&*bucket, 150);
        (0..150).step_by(9).for_each(|n| w.delete(&*bucket, &format!("key {n}")));
    }),
    ("base in several records", |w| {
        // Values in the pages, which one record cannot hold.
        let bucket = w.plain(Config { segment: 66 << 10, small: 4096, blob: 4096, ..WIDE });
        (0..20).for_each(|n| w.set(&*bucket, &format!("large {n}"), &text(3400 + n)));
        let log = |(path, _): &(String, Vec<u8>)| path == "b-base%20in%20several%20records/n";
        assert!(w.disk.files().iter().any(log), "it was not compacted");
    }),
    ("indices", |w| {
        w.mixed(WIDE);
        let bucket = w.plain(Config { segment: 4096, ..WIDE });
        w.grow(&*bucket, 120);
        for round in 0..2 {
            w.index(round);
        }
        let bucket = w.plain(Config { segment: 1 << 20, index: 1 << 20, ..WIDE });
        w.set(&*bucket, "key 3", b"behind the index");
        w.delete(&*bucket, "key 4");
        w.increment(&*bucket, "counter", 5);
    }),
    ("index without its record", |w| {
        let bucket = w.plain(Config { segment: 4096, ..WIDE });
        w.grow(&*bucket, 120);
        w.compacted();
        w.index(0);
        // Its pages are there.
        let sync = |call, path: &str| call == Call::Sync && is_segment(path);
        w.staged(INDEXED, sync, kill, |w, bucket| (0..40).for_each(|n| w.set(bucket, &format!("key {n}"), b"late")));
    }),
    ("value in pieces", |w| {
        let bucket = w.plain(Config::default());
        w.compact(&*bucket, 1);
        w.set(&*bucket, "in pieces", &text(60_000));
        w.set(&*bucket, "behind it", b"small");
    }),
    ("torn value in pieces", |w| {
        let bucket = w.plain(WIDE);
        w.compact(&*bucket, 2);
        w.staged(
            Config { blob: 128 << 10, ..WIDE },
            |call, path| matches!(call, Call::Append(_)) && is_segment(path),
            |_, _, _| Verdict::KillAfter(1000),
            |_, b| drop(b.set("torn", &text(60_000))),
        );
        w.expected.absent.insert("torn".into());
    }),
    ("begun in format 2", |w| {
        // One of its nodes is moved on, the others are as they were.
        let (old, buckets) = golden::load(&golden::folder().join("format-2"));
        let name = buckets.keys().find(|name| name.starts_with("A name")).unwrap();
        for (path, bytes) in old.files() {
            if let Some((_, file)) = path.split_once('/').filter(|(bucket, _)| bucket.starts_with("h-")) {
                w.disk.put(&format!("b-begun%20in%20format%202/{file}"), &bytes);
            }
        }
        w.expected = buckets[name].clone();
        let bucket = w.plain(SMALL);
        w.set(&*bucket, "small", b"moved on");
    }),
];
