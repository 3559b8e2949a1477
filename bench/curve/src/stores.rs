//! The stores that run natively: kvfuse's file store and its peers.

use crate::directory::{Calls, Real};
use anyhow::{Result, anyhow};
use kvfuse_bench_guest::session::Engine;
use kvfuse_core::{Bucket, Store};
use kvfuse_files::{Config, FileStore};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use rusqlite::{Connection, OptionalExtension, Statement};
use std::path::Path;
use std::rc::Rc;

/// kvfuse's file store over the native file port.
pub struct Files(Rc<dyn Bucket>);

impl Files {
    /// `memory` is what `KEYVALUE_MEMORY` sets.
    pub fn open(folder: &Path, memory: Option<usize>, calls: &Calls) -> Result<Self> {
        let default = Config::default();
        let config = Config { memory: memory.unwrap_or(default.memory), ..default };
        let store = FileStore::new(
            Real::new(folder, calls.clone())
                .map_err(|error| kvfuse_core::Error::new(kvfuse_core::Kind::Unavailable, error.to_string())),
            config,
        );
        Ok(Self(store.open("default").map_err(|error| anyhow!("{error}"))?))
    }
}

impl Engine for Files {
    fn get(&mut self, key: &str) -> Option<usize> {
        self.0.get(key).expect("reads").map(|value| value.len())
    }

    fn set(&mut self, key: &str, value: &[u8]) {
        self.0.set(key, value).expect("writes");
    }

    fn set_many(&mut self, pairs: &[(String, Vec<u8>)]) {
        let pairs: Vec<(&str, &[u8])> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
        self.0.set_many(&pairs).expect("writes");
    }

    fn increment(&mut self, key: &str) -> i64 {
        self.0.increment(key, 1, i64::MIN).expect("increments")
    }

    fn list(&mut self) -> usize {
        let (mut listed, mut cursor) = (0, None);
        loop {
            let page = self.0.list(cursor.as_deref()).expect("lists");
            listed += page.keys.len();
            cursor = page.cursor;
            if cursor.is_none() {
                return listed;
            }
        }
    }
}

/// SQLite in WAL mode with synchronous=NORMAL and prepared statements. Every operation is a transaction of its own, a
/// batch is one too. As with kvfuse's default, a commit outlives its process and may be lost in a power cut.
pub struct Sqlite {
    connection: &'static Connection,
    read: Statement<'static>,
    write: Statement<'static>,
    add: Statement<'static>,
}

impl Sqlite {
    pub fn open(folder: &Path) -> Result<Self> {
        // Prepared statements borrow it, and a run opens only a few.
        let connection: &'static Connection = Box::leak(Box::new(Connection::open(folder.join("store.db"))?));
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection
            .execute_batch("CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")?;
        Ok(Self {
            connection,
            read: connection.prepare("SELECT value FROM kv WHERE key = ?1")?,
            write: connection.prepare("INSERT OR REPLACE INTO kv (key, value) VALUES (?1, ?2)")?,
            add: connection.prepare(
                "INSERT INTO kv (key, value) VALUES (?1, 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value",
            )?,
        })
    }
}

impl Engine for Sqlite {
    fn get(&mut self, key: &str) -> Option<usize> {
        let value: Option<Vec<u8>> = self.read.query_row([key], |row| row.get(0)).optional().expect("reads");
        value.map(|value| value.len())
    }

    fn set(&mut self, key: &str, value: &[u8]) {
        self.write.execute((key, value)).expect("writes");
    }

    fn set_many(&mut self, pairs: &[(String, Vec<u8>)]) {
        self.connection.execute_batch("BEGIN").expect("begins");
        for (key, value) in pairs {
            self.write.execute((key, value)).expect("writes");
        }
        self.connection.execute_batch("COMMIT").expect("commits");
    }

    fn increment(&mut self, key: &str) -> i64 {
        // Stepped to its end: only then does SQLite look whether a checkpoint is due.
        let mut rows = self.add.query([key]).expect("increments");
        let sum = rows.next().expect("increments").expect("a row").get(0).expect("a number");
        assert!(rows.next().expect("commits").is_none());
        sum
    }

    fn list(&mut self) -> usize {
        let mut list = self.connection.prepare("SELECT key FROM kv").expect("prepares");
        let keys = list.query_map([], |row| row.get::<_, String>(0)).expect("lists");
        keys.filter(|key| !key.as_ref().expect("a key").is_empty()).count()
    }
}

/// redb. A single write is committed with [`Durability::None`]: unlike kvfuse's, it is lost if the process dies before the
/// next durable commit. Batches and every [`EVERY`]th write are durable.
pub struct Redb {
    database: Database,
    writes: usize,
}

const TABLE: TableDefinition<&str, &[u8]> = TableDefinition::new("kv");
/// How often a single write is durable, so that redb can reuse freed pages.
const EVERY: usize = 10_000;

impl Redb {
    pub fn open(folder: &Path) -> Result<Self> {
        let database = Database::create(folder.join("store.redb"))?;
        let transaction = database.begin_write()?;
        transaction.open_table(TABLE)?;
        transaction.commit()?;
        Ok(Self { database, writes: 0 })
    }

    fn write<T>(&mut self, durable: bool, change: impl FnOnce(&mut redb::Table<'_, &str, &[u8]>) -> T) -> T {
        self.writes += 1;
        let mut transaction = self.database.begin_write().expect("begins");
        if !durable && !self.writes.is_multiple_of(EVERY) {
            transaction.set_durability(Durability::None).expect("may be lost");
        }
        let result = change(&mut transaction.open_table(TABLE).expect("has a table"));
        transaction.commit().expect("commits");
        result
    }
}

impl Engine for Redb {
    fn get(&mut self, key: &str) -> Option<usize> {
        let table = self.database.begin_read().expect("begins").open_table(TABLE).expect("has a table");
        Some(table.get(key).expect("reads")?.value().to_vec().len())
    }

    fn set(&mut self, key: &str, value: &[u8]) {
        self.write(false, |table| {
            table.insert(key, value).expect("writes");
        });
    }

    fn set_many(&mut self, pairs: &[(String, Vec<u8>)]) {
        self.write(true, |table| {
            for (key, value) in pairs {
                table.insert(key.as_str(), value.as_slice()).expect("writes");
            }
        });
    }

    fn increment(&mut self, key: &str) -> i64 {
        self.write(false, |table| {
            let old = table
                .get(key)
                .expect("reads")
                .map_or(0, |value| value.value().try_into().map(i64::from_le_bytes).expect("a counter"));
            table.insert(key, (old + 1).to_le_bytes().as_slice()).expect("writes");
            old + 1
        })
    }

    fn list(&mut self) -> usize {
        let table = self.database.begin_read().expect("begins").open_table(TABLE).expect("has a table");
        let keys = table.iter().expect("lists").map(|entry| entry.expect("an entry").0.value().to_string());
        keys.filter(|key| !key.is_empty()).count()
    }
}
