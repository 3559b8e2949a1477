//! The tool: one operation on any store, for people and for scripts.

use crate::bindings::wasi::keyvalue::{atomics, store};
use crate::describe;
use lexopt::{Arg, ValueExt};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::ExitCode;

const HELP: &str = "\
kv_demo: inspects any wasi:keyvalue store

usage: kv_demo [--bucket NAME] COMMAND

  get KEY              write the value to standard output, byte for byte
  set KEY [VALUE]      store VALUE, or standard input if it is omitted
  delete KEY           delete the key; succeeds if it does not exist
  exists KEY           print true or false
  list [--limit N]     print the keys, one on each line (quoted if a key is not plain text)
  incr KEY [DELTA]     add DELTA (default: 1) to a counter and print the result
  cas KEY [VALUE] --expect OLD | --absent
                       store VALUE, or standard input, if the value is still OLD, or the key absent

  --bucket NAME        the bucket (default: default); :memory: only lasts for this run
  --help               print this help; without any arguments: a guided tour

exit status: 0 if done; 1 if the key does not exist, a cas lost, or there was an error (WASI 0.2 has no others)";

#[derive(Default)]
struct Options {
    bucket: String,
    words: Vec<String>,
    expect: Option<String>,
    absent: bool,
    limit: Option<usize>,
}

pub fn run(arguments: Vec<OsString>) -> Result<ExitCode, String> {
    let Some(options) = parse(arguments).map_err(|e| format!("{e}; see --help"))? else {
        println!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    };
    let words: Vec<&str> = options.words.iter().map(String::as_str).collect();
    // The arguments are checked before the store is opened.
    let command = match words.as_slice() {
        ["get", key] => Command::Get(key),
        ["set", key, value @ ..] if value.len() <= 1 => Command::Set(key, value.first().copied()),
        ["delete", key] => Command::Delete(key),
        ["exists", key] => Command::Exists(key),
        ["list"] => Command::List,
        ["incr", key] => Command::Incr(key, 1),
        ["incr", key, delta] => Command::Incr(
            key,
            delta.parse().map_err(|_| format!("{delta:?} is not a number that fits into 64 bits; see --help"))?,
        ),
        ["cas", key, value @ ..] if value.len() <= 1 && options.absent != options.expect.is_some() => {
            Command::Cas(key, value.first().copied())
        }
        ["cas", ..] => return Err("cas needs KEY [VALUE] and one of --expect OLD and --absent; see --help".into()),
        _ => return Err(format!("invalid command {:?}; see --help", words.join(" "))),
    };
    let bucket =
        store::open(&options.bucket).map_err(|e| format!("cannot open the bucket: {}", describe::error(&e)))?;
    perform(&command, &bucket, &options)
}

enum Command<'a> {
    Get(&'a str),
    Set(&'a str, Option<&'a str>),
    Delete(&'a str),
    Exists(&'a str),
    List,
    Incr(&'a str, i64),
    Cas(&'a str, Option<&'a str>),
}

fn parse(arguments: Vec<OsString>) -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("bucket") | Arg::Short('b') => options.bucket = parser.value()?.string()?,
            Arg::Long("expect") => options.expect = Some(parser.value()?.string()?),
            Arg::Long("absent") => options.absent = true,
            Arg::Long("limit") => options.limit = Some(parser.value()?.parse()?),
            Arg::Value(word) => {
                options.words.push(word.string()?);
                // A negative delta is a number, not an option.
                if options.words.len() == 2 && options.words.first().is_some_and(|word| word == "incr") {
                    options.words.extend(parser.optional_raw_number());
                }
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

trait OptionalNumber {
    fn optional_raw_number(&mut self) -> Option<String>;
}

impl OptionalNumber for lexopt::Parser {
    fn optional_raw_number(&mut self) -> Option<String> {
        let mut raw = self.try_raw_args()?;
        let text = raw.peek()?.to_str().filter(|text| text.parse::<i64>().is_ok())?.to_string();
        raw.next();
        Some(text)
    }
}

fn perform(command: &Command, bucket: &store::Bucket, options: &Options) -> Result<ExitCode, String> {
    let said = |e: store::Error| describe::error(&e);
    match command {
        Command::Get(key) => {
            let Some(value) = bucket.get(key).map_err(said)? else { return missing(key) };
            std::io::stdout().write_all(&value).map_err(|e| format!("cannot write the value: {e}"))?;
        }
        Command::Set(key, value) => bucket.set(key, &value_or_input(*value)?).map_err(said)?,
        Command::Delete(key) => bucket.delete(key).map_err(said)?,
        Command::Exists(key) => {
            let exists = bucket.exists(key).map_err(said)?;
            println!("{exists}");
            return Ok(if exists { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::List => list(bucket, options.limit.unwrap_or(usize::MAX))?,
        Command::Incr(key, delta) => {
            println!("{}", atomics::increment(bucket, key, *delta).map_err(said)?);
        }
        Command::Cas(key, value) => return cas(bucket, key, *value, options.expect.as_deref()),
    }
    Ok(ExitCode::SUCCESS)
}

fn missing(key: &str) -> Result<ExitCode, String> {
    eprintln!("kv_demo: there is no key {key:?}");
    Ok(ExitCode::FAILURE)
}

fn list(bucket: &store::Bucket, limit: usize) -> Result<(), String> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut cursor = None;
    let mut given = 0;
    loop {
        let page = bucket.list_keys(cursor.as_deref()).map_err(|e| describe::error(&e))?;
        for key in page.keys.iter().take(limit.saturating_sub(given)) {
            let plain = !key.is_empty() && !key.starts_with('"') && !key.chars().any(char::is_control);
            let line = if plain { writeln!(out, "{key}") } else { writeln!(out, "{key:?}") };
            line.map_err(|e| format!("cannot write the keys: {e}"))?;
            given += 1;
        }
        cursor = page.cursor;
        if cursor.is_none() || given >= limit {
            return out.flush().map_err(|e| format!("cannot write the keys: {e}"));
        }
    }
}

fn cas(bucket: &store::Bucket, key: &str, value: Option<&str>, expected: Option<&str>) -> Result<ExitCode, String> {
    let value = value_or_input(value)?;
    let mut handle = atomics::Cas::new(bucket, key).map_err(|e| describe::error(&e))?;
    loop {
        let current = handle.current().map_err(|e| describe::error(&e))?;
        if current.as_deref() != expected.map(str::as_bytes) {
            let is = current.map_or("absent".to_string(), |value| describe::value(&value));
            eprintln!("kv_demo: not swapped; the key {key:?} is {is}");
            return Ok(ExitCode::FAILURE);
        }
        match atomics::swap(handle, &value) {
            Ok(()) => return Ok(ExitCode::SUCCESS),
            // Someone wrote in between, and what they wrote may be the expected value.
            Err(atomics::CasError::CasFailed(fresh)) => handle = fresh,
            Err(atomics::CasError::StoreError(e)) => return Err(describe::error(&e)),
        }
    }
}

fn value_or_input(value: Option<&str>) -> Result<Vec<u8>, String> {
    if let Some(value) = value {
        return Ok(value.as_bytes().to_vec());
    }
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).map_err(|e| format!("cannot read standard input: {e}"))?;
    Ok(input)
}
