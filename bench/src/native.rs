//! The peers of the figures in a small store, run natively.

use anyhow::Result;
use kvfuse_bench_guest::{Order, changed, key, median};
use rusqlite::Connection;
use std::path::Path;

/// Nanoseconds per operation.
pub struct Times {
    pub get: f64,
    pub set: f64,
}

/// One file per key with tokio::fs, as wasmCloud's filesystem plugin does it.
pub fn files(folder: &Path, times: usize, keys: usize, size: usize) -> Result<Times> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let mut value = vec![b'v'; size];
    let path = |n: usize| folder.join(key(n));
    runtime.block_on(async {
        for n in 0..keys {
            tokio::fs::write(path(n), &value).await?;
        }
        anyhow::Ok(())
    })?;
    let mut order = Order::default();
    let get = median(times, || {
        let read = runtime.block_on(tokio::fs::read(path(order.below(keys)))).expect("reads");
        assert_eq!(read.len(), size);
    });
    let mut order = Order::default();
    let set = median(times, || {
        runtime.block_on(tokio::fs::write(path(order.below(keys)), changed(&mut value))).expect("writes");
    });
    Ok(Times { get, set })
}

/// SQLite with prepared statements, with its defaults (as Spin uses it) or with WAL and synchronous=NORMAL.
pub fn sqlite(folder: &Path, wal: bool, times: usize, keys: usize, size: usize) -> Result<Times> {
    let connection = Connection::open(folder.join("store.db"))?;
    if wal {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
    }
    connection.execute_batch("CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID; BEGIN")?;
    let mut write = connection.prepare("INSERT OR REPLACE INTO kv (key, value) VALUES (?1, ?2)")?;
    let mut value = vec![b'v'; size];
    for n in 0..keys {
        write.execute((key(n), &value))?;
    }
    connection.execute_batch("COMMIT")?;
    let mut read = connection.prepare("SELECT value FROM kv WHERE key = ?1")?;
    let mut order = Order::default();
    let get = median(times, || {
        let value: Vec<u8> = read.query_row([key(order.below(keys))], |row| row.get(0)).expect("reads");
        assert_eq!(value.len(), size);
    });
    let mut order = Order::default();
    let slow = if wal { times } else { times.div_ceil(20) };
    let set = median(slow, || {
        write.execute((key(order.below(keys)), changed(&mut value))).expect("writes");
    });
    Ok(Times { get, set })
}
