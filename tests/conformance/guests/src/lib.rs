//! What the guests of the conformance suite share.
//!
//! A guest is a command that imports one generation of the key-value interface, wasi:cli, and the parts of wasi:io and
//! wasi:clocks that these two need. Those of the asynchronous generations are commands of WASI 0.3. `--list` prints its cases, one per line, each named by what it shows. With the names of a bucket and a
//! case it runs that case on that bucket, which must be empty, and prints `passed`, `failed: why` or `unsupported: why`.
//! A guest that ends without such a line has trapped.
//!
//! | file | what it checks |
//! |---|---|
//! | [`common`] | what every generation promises: single keys, listing, counters, batches |
//! | [`classic`] | the generations before 2024-04: values as resources, streams, compare-and-swap of counters, the cache |
//! | [`drafts`], [`draft2`] | the generations since: get-many's pairs, cursors; signed counters and compare-and-swap |
//! | [`wasmcloud`] | wasmCloud's own: lifetimes, conditional writes, prefixes, compare-and-swap without handles, many calls at once |
//! | `examples/` | one guest for each generation: how its calls are made, and what only it promises |

pub mod check;
pub mod classic;
pub mod common;
pub mod draft2;
pub mod drafts;
pub mod wasmcloud;

pub use check::{Failure, Verdict};

use wasip2::cli::{environment, stdout};
use wasip3::wit_stream;

/// A generation's bucket, with the calls that most generations have. Errors are text. A generation that lacks some chooses
/// cases without them.
pub trait Bucket {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String>;
    fn set(&self, key: &str, value: &[u8]) -> Result<(), String>;
    fn delete(&self, key: &str) -> Result<(), String>;
    fn exists(&self, key: &str) -> Result<bool, String>;
    /// One page of keys and the cursor of the next. A generation without pages gives all keys at once.
    fn list(&self, cursor: Option<&str>) -> Result<(Vec<String>, Option<String>), String>;
    fn increment(&self, _key: &str, _delta: u64) -> Result<i128, String> {
        Err("this generation has no counters".into())
    }
    /// The values of keys. Some may be missing, if the generation can report that.
    fn get_many(&self, _keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, String> {
        Err(NO_BATCHES.into())
    }
    fn set_many(&self, _pairs: &[(&str, &[u8])]) -> Result<(), String> {
        Err(NO_BATCHES.into())
    }
    fn delete_many(&self, _keys: &[&str]) -> Result<(), String> {
        Err(NO_BATCHES.into())
    }
}

const NO_BATCHES: &str = "this generation has no batches";

/// What a case is given: the name of the bucket it works on, and how to open buckets.
pub struct Subject<'a> {
    pub name: &'a str,
    pub opener: fn(&str) -> Result<Box<dyn Bucket>, String>,
}

impl Subject<'_> {
    pub fn open(&self) -> Result<Box<dyn Bucket>, Failure> {
        (self.opener)(self.name).map_err(|error| Failure::Failed(format!("the bucket did not open: {error}")))
    }
}

/// A case: the sentence that it shows, and the function that does.
pub type Case = (&'static str, fn(&Subject) -> Verdict);

/// Does what the arguments ask for.
#[expect(clippy::result_unit_err, reason = "what wasi:cli/run gives: success or not")]
pub fn run(opener: fn(&str) -> Result<Box<dyn Bucket>, String>, common: &[&[Case]], own: &[&[Case]]) -> Result<(), ()> {
    let text = answer(&environment::get_arguments(), opener, common, own)?;
    let out = stdout::get_stdout();
    // If standard output is gone, the runner notices.
    for chunk in text.as_bytes().chunks(4096) {
        drop(out.blocking_write_and_flush(chunk));
    }
    Ok(())
}

/// The same in a command of WASI 0.3.
pub async fn run_p3(
    opener: fn(&str) -> Result<Box<dyn Bucket>, String>,
    common: &[&[Case]],
    own: &[&[Case]],
) -> Result<(), ()> {
    let text = answer(&wasip3::cli::environment::get_arguments(), opener, common, own)?;
    let (mut out, reader) = wit_stream::new();
    let written = wasip3::cli::stdout::write_via_stream(reader);
    drop(out.write_all(text.into_bytes()).await);
    drop(out);
    written.await.map_err(drop)
}

/// What the arguments ask for, in lines.
fn answer(
    arguments: &[String],
    opener: fn(&str) -> Result<Box<dyn Bucket>, String>,
    common: &[&[Case]],
    own: &[&[Case]],
) -> Result<String, ()> {
    let mut cases = common.iter().chain(own).flat_map(|part| part.iter());
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [_, "--list"] => Ok(cases.map(|(sentence, _)| format!("{sentence}\n")).collect()),
        [_, bucket, sentence] => {
            let (_, case) = cases.find(|(name, _)| name == sentence).ok_or(())?;
            Ok(match case(&Subject { name: bucket, opener }) {
                Ok(()) => "passed\n".into(),
                Err(Failure::Failed(why)) => format!("failed: {}\n", one_line(&why)),
                Err(Failure::Unsupported(why)) => format!("unsupported: {}\n", one_line(&why)),
            })
        }
        _ => Err(()),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Makes a guest from a function that opens buckets, a choice of the common lists of cases, and its own lists.
#[macro_export]
macro_rules! guest {
    ($opener:expr, $common:expr, $($own:expr),+ $(,)?) => {
        struct Guest;
        impl wasip2::exports::cli::run::Guest for Guest {
            fn run() -> Result<(), ()> {
                $crate::run($opener, $common, &[$(&$own[..]),+])
            }
        }
        wasip2::cli::command::export!(Guest);
    };
}

/// The same for a command of WASI 0.3.
#[macro_export]
macro_rules! guest_p3 {
    ($opener:expr, $common:expr, $($own:expr),+ $(,)?) => {
        struct Guest;
        impl wasip3::exports::cli::run::Guest for Guest {
            async fn run() -> Result<(), ()> {
                $crate::run_p3($opener, $common, &[$(&$own[..]),+]).await
            }
        }
        wasip3::cli::command::export!(Guest);
    };
}
