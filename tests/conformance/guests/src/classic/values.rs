//! Values as resources, their streams, and compare-and-swap.

use super::{Classic, value};
use crate::check::{holds, listed, not_supported, ok, same};
use crate::{Case, Failure, Subject, Verdict};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

pub fn values<C: Classic>() -> Vec<Case> {
    vec![
        ("the size of a value is its number of bytes", size::<C>),
        ("an outgoing value can be set under several keys", several_keys::<C>),
        ("an outgoing value that is dropped without being set leaves nothing", dropped::<C>),
        ("a value got is the one that was there then, whatever is set later", snapshot::<C>),
        ("an error has a trace", trace::<C>),
    ]
}

pub fn swaps<C: Classic>() -> Vec<Case> {
    vec![
        ("compare-and-swap is true and replaces the number if it is the old one", swap_replaces::<C>),
        ("compare-and-swap is false and changes nothing if the number is another", swap_differs::<C>),
        ("compare-and-swap is false for a key that is not there", swap_missing::<C>),
    ]
}

pub fn streams<C: Classic>() -> Vec<Case> {
    vec![
        ("what is written through a value's stream is the value that is set", stream_in::<C>),
        ("a value can be read through its stream", stream_out::<C>),
        ("a streamed value of 3 MiB has its size and comes back through a stream as it was", stream_large::<C>),
        ("what is written to the stream after the value was set is not part of it", stream_after_set::<C>),
        ("set before the stream's end sets what was written and flushed until then", stream_unfinished::<C>),
        ("a streamed value that is dropped without being set leaves nothing", stream_dropped::<C>),
        ("a value that is replaced while it is read goes on to its end as it was", stream_replaced::<C>),
        ("a batch may set streamed and whole values together", stream_batch::<C>),
    ]
}

fn open<C: Classic>(subject: &Subject) -> Result<C::Bucket, Failure> {
    ok("open-bucket", C::open(subject.name))
}

fn set<C: Classic>(bucket: &C::Bucket, key: &str, bytes: &[u8]) -> Verdict {
    let value = ok("writing a value", value::<C>(bytes))?;
    ok("set", C::set(bucket, key, &value))
}

fn found<C: Classic>(bucket: &C::Bucket, key: &str) -> Result<C::Incoming, Failure> {
    ok("get", C::get(bucket, key))?.ok_or_else(|| Failure::Failed(format!("{key} is not there")))
}

fn get<C: Classic>(bucket: &C::Bucket, key: &str) -> Result<Vec<u8>, Failure> {
    ok("consuming a value", C::consume(found::<C>(bucket, key)?))
}

fn size<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    for bytes in [&b""[..], b"x", &[7; 70_000]] {
        set::<C>(&bucket, "key", bytes)?;
        same("the size", ok("the size", C::size(&found::<C>(&bucket, "key")?))?, bytes.len() as u64)?;
    }
    Ok(())
}

fn several_keys<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    let value = ok("writing a value", value::<C>(b"value"))?;
    for key in ["a", "b"] {
        ok("set", C::set(&bucket, key, &value))?;
    }
    drop(value);
    for key in ["a", "b"] {
        same(key, get::<C>(&bucket, key)?, b"value".to_vec())?;
    }
    Ok(())
}

fn dropped<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    drop(ok("writing a value", value::<C>(b"value"))?);
    drop(C::outgoing());
    same("the keys", listed("listing", C::keys(&bucket))?, Vec::new())
}

fn snapshot<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    set::<C>(&bucket, "key", b"before")?;
    let value = found::<C>(&bucket, "key")?;
    set::<C>(&bucket, "key", b"a longer value after")?;
    same("the size", ok("the size", C::size(&value))?, 6)?;
    same("the value", ok("consuming a value", C::consume(value))?, b"before".to_vec())
}

fn trace<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    set::<C>(&bucket, "key", b"not a number")?;
    match C::increment(&bucket, "key", 1) {
        Err(trace) => holds("the trace is empty", !trace.is_empty()),
        Ok(sum) => Err(Failure::Failed(format!("increment of a value that is not a number gave {sum}"))),
    }
}

fn swap<C: Classic>(bucket: &C::Bucket, old: u64, new: u64) -> Result<bool, Failure> {
    ok("compare-and-swap", C::compare_and_swap(bucket, "counter", old, new))
}

fn number<C: Classic>(bucket: &C::Bucket) -> Result<u64, Failure> {
    ok("increment by 0", C::increment(bucket, "counter", 0))
}

fn swap_replaces<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    ok("increment", C::increment(&bucket, "counter", 5))?;
    same("compare-and-swap", swap::<C>(&bucket, 5, 1_000_000_007)?, true)?;
    same("the number", number::<C>(&bucket)?, 1_000_000_007)?;
    same("a second swap", swap::<C>(&bucket, 1_000_000_007, 0)?, true)?;
    same("the number", number::<C>(&bucket)?, 0)
}

fn swap_differs<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    ok("increment", C::increment(&bucket, "counter", 5))?;
    same("compare-and-swap", swap::<C>(&bucket, 6, 7)?, false)?;
    same("the number", number::<C>(&bucket)?, 5)
}

fn swap_missing<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    same("compare-and-swap", swap::<C>(&bucket, 0, 7)?, false)?;
    same("exists", ok("exists", C::exists(&bucket, "counter"))?, false)
}

/// A stream into a new value, if the implementation supports it.
fn stream<C: Classic>() -> Result<(C::Outgoing, OutputStream), Failure> {
    let value = C::outgoing();
    let stream = C::write_stream(&value).map_err(|error| not_supported("a stream into a value", error))?;
    Ok((value, stream))
}

fn write(stream: &OutputStream, bytes: &[u8]) -> Verdict {
    for chunk in bytes.chunks(4096) {
        ok("writing to the stream", stream.blocking_write_and_flush(chunk).map_err(|error| format!("{error:?}")))?;
    }
    Ok(())
}

fn read(stream: &InputStream) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(more) => bytes.extend(more),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(error) => return Err(Failure::Failed(format!("reading from the stream gave {error:?}"))),
        }
    }
}

fn out<C: Classic>(bucket: &C::Bucket, key: &str) -> Result<InputStream, Failure> {
    C::consume_stream(found::<C>(bucket, key)?).map_err(|error| not_supported("a stream out of a value", error))
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn stream_in<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    let (value, stream) = stream::<C>()?;
    write(&stream, b"through ")?;
    write(&stream, b"the stream")?;
    drop(stream);
    ok("set", C::set(&bucket, "key", &value))?;
    drop(value);
    same("get", get::<C>(&bucket, "key")?, b"through the stream".to_vec())
}

fn stream_out<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    for bytes in [&b""[..], b"small", &pattern(100_000)] {
        set::<C>(&bucket, "key", bytes)?;
        holds("the stream gave other bytes", read(&out::<C>(&bucket, "key")?)? == bytes)?;
    }
    Ok(())
}

fn stream_large<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    let bytes = pattern(3 << 20);
    let (value, stream) = stream::<C>()?;
    write(&stream, &bytes)?;
    drop(stream);
    ok("set", C::set(&bucket, "key", &value))?;
    same("the size", ok("the size", C::size(&found::<C>(&bucket, "key")?))?, bytes.len() as u64)?;
    holds("the stream gave other bytes", read(&out::<C>(&bucket, "key")?)? == bytes)
}

fn stream_after_set<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    let (value, stream) = stream::<C>()?;
    write(&stream, b"before")?;
    ok("set", C::set(&bucket, "key", &value))?;
    // Whether writing then fails or goes nowhere is the implementation's choice.
    drop(stream.blocking_write_and_flush(b" and after"));
    drop(stream);
    drop(value);
    same("get", get::<C>(&bucket, "key")?, b"before".to_vec())
}

fn stream_unfinished<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    let (value, stream) = stream::<C>()?;
    write(&stream, b"flushed")?;
    ok("set", C::set(&bucket, "key", &value))?;
    same("get while the stream is open", get::<C>(&bucket, "key")?, b"flushed".to_vec())?;
    drop(stream);
    same("get", get::<C>(&bucket, "key")?, b"flushed".to_vec())
}

fn stream_dropped<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    let (value, stream) = stream::<C>()?;
    write(&stream, b"never set")?;
    same("the keys", listed("listing", C::keys(&bucket))?, Vec::new())?;
    drop(stream);
    drop(value);
    same("the keys", listed("listing", C::keys(&bucket))?, Vec::new())
}

fn stream_replaced<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    let bytes = pattern(200_000);
    set::<C>(&bucket, "key", &bytes)?;
    let stream = out::<C>(&bucket, "key")?;
    let begin = ok("reading", stream.blocking_read(100).map_err(|error| format!("{error:?}")))?;
    set::<C>(&bucket, "key", b"another")?;
    ok("delete", C::delete(&bucket, "key"))?;
    holds("the stream gave other bytes", [begin, read(&stream)?].concat() == bytes)
}

fn stream_batch<C: Classic>(subject: &Subject) -> Verdict {
    let bucket = open::<C>(subject)?;
    let (streamed, stream) = stream::<C>()?;
    write(&stream, b"streamed")?;
    drop(stream);
    let whole = ok("writing a value", value::<C>(b"whole"))?;
    ok("set-many", C::set_many(&bucket, &[("a", streamed), ("b", whole)]))?;
    same("a", get::<C>(&bucket, "a")?, b"streamed".to_vec())?;
    same("b", get::<C>(&bucket, "b")?, b"whole".to_vec())
}
