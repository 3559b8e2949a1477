//! The timed consumer, of the one generation that wasmtime hosts too: `bench OPERATION TIMES KEYS VALUE-BYTES`, or
//! `bench session KEYS SIZES`, which runs the commands of a [`Session`] that it reads from standard input.

wit_bindgen::generate!({ path: "../../wit/draft", world: "wasi:keyvalue/imports@0.2.0-draft" });

use kvfuse_bench_guest::session::{Engine, Session, Sizes};
use kvfuse_bench_guest::{Order, changed, key, time};
use wasi::keyvalue::store::{self, Bucket};
use wasi::keyvalue::{atomics, batch};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize| arguments.get(n).map_or(1, |text| text.parse().expect("a number"));
    if arguments.first().is_some_and(|name| name == "session") {
        return session(number(1), Sizes::parse(&arguments[2]));
    }
    let (times, keys, size) = (number(1), number(2), number(3));
    if arguments.first().is_some_and(|name| name == "first-get") {
        return first_get(keys);
    }
    let bucket = store::open("").expect("the bucket opens");
    let mut value = vec![b'v'; size];
    let mut order = Order::default();
    match arguments.first().map_or("", String::as_str) {
        "fill" => fill(&bucket, keys, &value),
        // Some hosts keep data only while a bucket is open, so the same run fills it.
        "get" => {
            fill(&bucket, keys, &value);
            time(times, || assert!(bucket.get(&key(order.below(keys))).unwrap().is_some()));
        }
        "set" => {
            fill(&bucket, keys, &value);
            time(times, || bucket.set(&key(order.below(keys)), changed(&mut value)).unwrap());
        }
        // The same on a bucket that an earlier run filled.
        "get-filled" => time(times, || assert!(bucket.get(&key(order.below(keys))).unwrap().is_some())),
        "set-filled" => time(times, || bucket.set(&key(order.below(keys)), changed(&mut value)).unwrap()),
        "increment" => time(times, || assert!(atomics::increment(&bucket, "counter", 1).unwrap() > 0)),
        "get-many" => {
            fill(&bucket, keys, &value);
            let asked: Vec<String> = (0..100).map(|n| key(n % keys)).collect();
            time(times, || assert_eq!(batch::get_many(&bucket, &asked).unwrap().len(), 100));
        }
        "set-many" => {
            let pairs: Vec<_> = (0..100).map(|n| (key(n % keys), value.clone())).collect();
            time(times, || batch::set_many(&bucket, &pairs).unwrap());
        }
        "list" => {
            let start = std::time::Instant::now();
            let listed = list(&bucket);
            assert_eq!(listed, keys);
            println!("{:.0}", listed as f64 / start.elapsed().as_secs_f64());
        }
        "mixed" => (0..times).for_each(|_| {
            assert!(bucket.get(&key(order.below(keys))).unwrap().is_some());
            bucket.set(&key(order.below(keys)), &value).unwrap();
        }),
        "count" => (0..times).for_each(|_| assert!(atomics::increment(&bucket, "counter", 1).unwrap() > 0)),
        "read-counter" => println!("{}", atomics::increment(&bucket, "counter", 0).unwrap()),
        other => panic!("no operation {other:?}"),
    }
}

/// One get in a fresh instance. The caller takes the median of several.
fn first_get(keys: usize) {
    let asked = key(Order::default().below(keys));
    let start = std::time::Instant::now();
    assert!(store::open("").unwrap().get(&asked).unwrap().is_some());
    println!("{}", start.elapsed().as_nanos());
}

fn fill(bucket: &Bucket, keys: usize, value: &[u8]) {
    for first in (0..keys).step_by(500) {
        let pairs: Vec<_> = (first..keys.min(first + 500)).map(|n| (key(n), value.to_vec())).collect();
        batch::set_many(bucket, &pairs).unwrap();
    }
}

fn list(bucket: &Bucket) -> usize {
    let (mut listed, mut cursor) = (0, None);
    loop {
        let page = bucket.list_keys(cursor).unwrap();
        listed += page.keys.len();
        cursor = page.cursor;
        if cursor.is_none() {
            return listed;
        }
    }
}

/// Answers each line of standard input with a line.
fn session(keys: usize, sizes: Sizes) {
    let mut session = Session::new(Imported(store::open("").expect("the bucket opens")), keys, sizes);
    for line in std::io::stdin().lines() {
        println!("{:.1}", session.run(&line.expect("a line")));
    }
}

struct Imported(Bucket);

impl Engine for Imported {
    fn get(&mut self, key: &str) -> Option<usize> {
        self.0.get(key).unwrap().map(|value| value.len())
    }

    fn set(&mut self, key: &str, value: &[u8]) {
        self.0.set(key, value).unwrap();
    }

    fn set_many(&mut self, pairs: &[(String, Vec<u8>)]) {
        batch::set_many(&self.0, pairs).unwrap();
    }

    fn increment(&mut self, key: &str) -> i64 {
        atomics::increment(&self.0, key, 1).unwrap().try_into().unwrap()
    }

    fn list(&mut self) -> usize {
        list(&self.0)
    }
}
