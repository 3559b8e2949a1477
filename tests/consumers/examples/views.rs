//! A command that uses eight generations of the interface at once. It writes through each and reads through all, increments
//! one counter through each that has counters, and prints what disagrees.

use wasip2::cli::stdout;

mod draft2 {
    wit_bindgen::generate!({ path: "../../wit/draft2", world: "wasi:keyvalue/imports@0.2.0-draft2" });
}
mod draft {
    wit_bindgen::generate!({ path: "../../wit/draft", world: "wasi:keyvalue/imports@0.2.0-draft" });
}
mod wrpc {
    wit_bindgen::generate!({ path: "../../wit/wrpc", world: "wrpc:keyvalue/imports@0.2.0-draft" });
}
mod spin2 {
    wit_bindgen::generate!({ path: "../../wit/spin2", world: "fermyon:spin/imports@2.0.0" });
}
mod spin1 {
    wit_bindgen::generate!({ path: "../../wit/spin1", world: "fermyon:spin/imports" });
}
macro_rules! classic {
    ($module:ident, $folder:literal, $world:literal) => {
        mod $module {
            wit_bindgen::generate!({
                path: ["../../wit/io", $folder],
                world: $world,
                with: {
                    "wasi:io/error@0.2.12": wasip2::io::error,
                    "wasi:io/poll@0.2.12": wasip2::io::poll,
                    "wasi:io/streams@0.2.12": wasip2::io::streams,
                },
            });
        }
    };
}
classic!(draft_eventual, "../../wit/draft_eventual", "wasi:keyvalue/eventual-imports@0.2.0-draft");
classic!(v0_1, "../../wit/v0_1", "wasi:keyvalue/imports@0.1.0");
classic!(unversioned, "../../wit/unversioned", "wasi:keyvalue/imports");

/// One generation's access to the bucket: its name, and how it sets, gets and counts. Errors are text.
struct View {
    name: &'static str,
    set: fn(&str, &[u8]) -> Result<(), String>,
    get: fn(&str) -> Result<Vec<u8>, String>,
    increment: Option<Increment>,
}

type Increment = fn(&str) -> Result<u64, String>;

const BUCKET: &str = "views";

fn text(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

macro_rules! with_handles {
    ($module:ident) => {{
        use $module::wasi::keyvalue::{atomics, store};
        View {
            name: stringify!($module),
            set: |key, value| store::open(BUCKET).and_then(|bucket| bucket.set(key, value)).map_err(text),
            get: |key| {
                let value = store::open(BUCKET).and_then(|bucket| bucket.get(key)).map_err(text)?;
                value.ok_or_else(|| "missing".into())
            },
            increment: Some(|key| {
                let sum = store::open(BUCKET).and_then(|bucket| atomics::increment(&bucket, key, 1));
                sum.map_err(text).map(|sum| sum as u64)
            }),
        }
    }};
}

macro_rules! with_resources {
    ($module:ident, $single:ident, $found:expr, $consume:expr) => {{
        use $module::wasi::keyvalue::{atomic, types, $single};
        View {
            name: stringify!($module),
            set: |key, value| {
                let bucket = types::Bucket::open_bucket(BUCKET).map_err(|error| error.trace())?;
                let outgoing = types::OutgoingValue::new_outgoing_value();
                outgoing.outgoing_value_write_body_sync(value).map_err(|error| error.trace())?;
                $single::set(&bucket, key, &outgoing).map_err(|error| error.trace())
            },
            get: |key| {
                let bucket = types::Bucket::open_bucket(BUCKET).map_err(|error| error.trace())?;
                let value = $found($single::get(&bucket, key).map_err(|error| error.trace())?);
                $consume(value.ok_or("missing")?).map_err(|error: types::Error| error.trace())
            },
            increment: Some(|key| {
                let bucket = types::Bucket::open_bucket(BUCKET).map_err(|error| error.trace())?;
                atomic::increment(&bucket, key, 1).map_err(|error| error.trace())
            }),
        }
    }};
}

fn views() -> [View; 8] {
    [
        with_handles!(draft2),
        with_handles!(draft),
        View {
            name: "wrpc",
            set: |key, value| wrpc::wrpc::keyvalue::store::set(BUCKET, key, value).map_err(text),
            get: |key| {
                let value = wrpc::wrpc::keyvalue::store::get(BUCKET, key).map_err(text)?;
                value.ok_or_else(|| "missing".into())
            },
            increment: Some(|key| wrpc::wrpc::keyvalue::atomics::increment(BUCKET, key, 1).map_err(text)),
        },
        View {
            name: "spin2",
            set: |key, value| {
                let store = spin2::fermyon::spin::key_value::Store::open(BUCKET).map_err(text)?;
                store.set(key, value).map_err(text)
            },
            get: |key| {
                let store = spin2::fermyon::spin::key_value::Store::open(BUCKET).map_err(text)?;
                store.get(key).map_err(text)?.ok_or_else(|| "missing".into())
            },
            increment: None,
        },
        View {
            name: "spin1",
            set: |key, value| {
                use spin1::fermyon::spin::key_value::{open, set};
                open(BUCKET).and_then(|store| set(store, key, value)).map_err(text)
            },
            get: |key| {
                use spin1::fermyon::spin::key_value::{get, open};
                open(BUCKET).and_then(|store| get(store, key)).map_err(text)
            },
            increment: None,
        },
        with_resources!(draft_eventual, eventual, |v| v, types::IncomingValue::incoming_value_consume_sync),
        with_resources!(v0_1, eventual, |v| v, types::IncomingValue::incoming_value_consume_sync),
        with_resources!(unversioned, readwrite, Some, |value: types::IncomingValue| value
            .incoming_value_consume_sync()),
    ]
}

struct Views;
wasip2::cli::command::export!(Views);

impl wasip2::exports::cli::run::Guest for Views {
    fn run() -> Result<(), ()> {
        let views = views();
        let mut agreed = 0;
        for writer in &views {
            let value = format!("by {}\0\u{ff}", writer.name).into_bytes();
            let set = (writer.set)("key", &value);
            for reader in &views {
                let got = (reader.get)("key");
                if set.is_ok() && got.as_ref() == Ok(&value) {
                    agreed += 1;
                } else {
                    say(&format!("{} set {set:?}, {} got {got:?}", writer.name, reader.name));
                }
            }
        }
        let counting = views.iter().filter_map(|view| Some((view, view.increment?)));
        for (number, (view, increment)) in counting.enumerate() {
            let sum = increment("counter");
            if sum != Ok(number as u64 + 1) {
                say(&format!("{} counted {sum:?} as number {number}", view.name));
            }
        }
        say(&format!("{agreed} of {} agree", views.len() * views.len()));
        Ok(())
    }
}

fn say(line: &str) {
    // If standard output is gone, nobody reads this.
    drop(stdout::get_stdout().blocking_write_and_flush(format!("{line}\n").as_bytes()));
}
