//! The commands that read, write and move a store's data.

use clap::{Args, Subcommand, ValueHint};
use std::path::PathBuf;

macro_rules! places {
    () => {
        "\
Give a store by its name, as `kvfuse stores` lists it, or by its name and place: files:./data, redis://127.0.0.1:6379,
etcd:http://127.0.0.1:2379. Without a place, it is the one that `kvfuse run` uses: ./data, or the server in
KEYVALUE_REDIS_URL or KEYVALUE_ETCD_ENDPOINTS."
    };
}

const PLACES: &str = places!();

const KV: &str = concat!(
    places!(),
    "

Exit codes: 0 success; 5 there is no such key; 1 failure; 2 invalid command line; 3 a file cannot be read or written."
);

const EXPLORE: &str = concat!(
    places!(),
    "

The page is served on the loopback interface only. Anyone with its address, which contains the token, can change the store."
);

/// A store and its settings.
#[derive(Args)]
pub struct At {
    /// The store.
    #[arg(long, global = true, value_name = "STORE", default_value = "files")]
    pub store: String,
    /// Set a variable of the store.
    #[arg(long, global = true, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
}

#[derive(Subcommand)]
pub enum Data {
    /// Read and write the keys of a store.
    Kv(Kv),
    /// Copy buckets from one store to another. If it is interrupted, run it again to finish.
    Copy(Copy),
    /// Write buckets to a file, with checksums.
    Dump(Dump),
    /// Write the content of a dump to a store.
    Load(Load),
    /// Show and edit the keys of a store on a page in the browser.
    Explore(Explore),
}

#[derive(Args)]
#[command(after_help = KV)]
pub struct Kv {
    #[command(subcommand)]
    pub command: Keys,
    #[command(flatten)]
    pub at: At,
    /// The bucket.
    #[arg(long, global = true, value_name = "BUCKET", default_value = "default")]
    pub bucket: String,
    /// The directory of a store that keeps files.
    #[arg(long, global = true, value_name = "DIRECTORY", default_value = "data", value_hint = ValueHint::DirPath)]
    pub data: PathBuf,
}

#[derive(Subcommand)]
pub enum Keys {
    /// Write a key's value to standard output, byte for byte.
    Get {
        key: String,
        /// Write it to a file instead.
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
    /// Set a key to a value: the argument, a file, or standard input.
    Put {
        key: String,
        /// The value. Without it and --file, it is read from standard input.
        value: Option<String>,
        /// Read the value from a file; - is standard input.
        #[arg(short, long, value_name = "FILE", conflicts_with = "value", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// Delete the key after this many seconds, unless it is set again before.
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
        ttl: Option<u64>,
    },
    /// Delete keys. A key that does not exist is not an error.
    Delete {
        #[arg(required = true)]
        keys: Vec<String>,
    },
    /// Check whether a key exists. The exit code is 0 if it does, and 5 if not.
    Exists { key: String },
    /// List the keys, one per line, in the store's order.
    List {
        /// Only keys that begin with this.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        prefix: String,
        /// At most this many.
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// Print JSON lines: {"key":"…"}
        #[arg(long)]
        json: bool,
        /// End each key with a zero byte instead of a line feed.
        #[arg(short = '0', long, conflicts_with = "json")]
        null: bool,
    },
    /// Add to a counter, and print the sum. A key that does not exist counts as 0.
    Incr {
        key: String,
        #[arg(default_value_t = 1, allow_negative_numbers = true)]
        delta: i64,
    },
    /// Print changes as they happen, until Ctrl-C.
    Watch {
        /// Only keys that begin with this.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        prefix: String,
        /// Where to begin: now, beginning (all existing keys come first), or a position that was printed.
        #[arg(long, value_name = "POSITION", default_value = "now")]
        from: String,
        /// Stop after this many changes.
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// Print JSON lines: {"set":"…","value":"…"}, {"delete":"…"}, {"position":"…"}, {"missed":"…"}
        #[arg(long)]
        json: bool,
    },
    /// List the buckets, one per line, if the store knows them.
    Buckets {
        /// Print JSON lines: {"bucket":"…"}
        #[arg(long)]
        json: bool,
    },
    /// Set many keys: JSON lines of {"key":"…","value":"…"}, or with "base64" in place of "value".
    BulkPut {
        /// The file; - is standard input.
        #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Print keys with their values as JSON lines, as bulk-put takes them. All keys, unless some are named.
    BulkGet {
        keys: Vec<String>,
        /// Only keys that begin with this.
        #[arg(long, value_name = "TEXT", conflicts_with_all = ["keys", "file"])]
        prefix: Option<String>,
        /// Read the keys from JSON lines of {"key":"…"}; - is standard input.
        #[arg(long = "keys-from", value_name = "FILE", conflicts_with = "keys", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
}

#[derive(Args)]
pub struct Buckets {
    /// A bucket; can be given several times. Without it, all buckets, if the store knows them.
    #[arg(long = "bucket", value_name = "BUCKET")]
    pub names: Vec<String>,
}

#[derive(Args)]
#[command(after_help = PLACES)]
pub struct Copy {
    /// The store to copy from.
    #[arg(long, value_name = "STORE")]
    pub from: String,
    /// The store to copy to.
    #[arg(long, value_name = "STORE")]
    pub to: String,
    #[command(flatten)]
    pub buckets: Buckets,
    /// Set a variable of the store that is copied from.
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub from_env: Vec<String>,
    /// Set a variable of the store that is copied to.
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub to_env: Vec<String>,
    /// Afterwards keep copying changes, until Ctrl-C. Only if the source can report changes.
    #[arg(long, conflicts_with_all = ["verify", "dry_run"])]
    pub follow: bool,
    #[command(flatten)]
    pub checks: Checks,
}

#[derive(Args)]
pub struct Checks {
    /// Afterwards read everything back and compare.
    #[arg(long)]
    pub verify: bool,
    /// Write nothing. List the keys that the target would not take, one by one.
    #[arg(long, conflicts_with = "verify")]
    pub dry_run: bool,
}

#[derive(Args)]
#[command(after_help = PLACES)]
pub struct Dump {
    #[command(flatten)]
    pub at: At,
    #[command(flatten)]
    pub buckets: Buckets,
    /// The file; - is standard output.
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Resume an interrupted dump to this file.
    #[arg(long)]
    pub resume: bool,
    /// Afterwards read the file back and compare.
    #[arg(long)]
    pub verify: bool,
    /// Write nothing. Read everything, and say what the dump would have.
    #[arg(long, conflicts_with_all = ["resume", "verify"])]
    pub dry_run: bool,
}

#[derive(Args)]
#[command(after_help = PLACES)]
pub struct Load {
    #[command(flatten)]
    pub at: At,
    #[command(flatten)]
    pub buckets: Buckets,
    /// The dump; - is standard input.
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Keep the position in this file, and resume from it if it exists. It is removed at the end.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "dry_run")]
    pub progress: Option<PathBuf>,
    #[command(flatten)]
    pub checks: Checks,
}

#[derive(Args)]
#[command(after_help = EXPLORE)]
pub struct Explore {
    #[command(flatten)]
    pub at: At,
    /// The port of the loopback interface. [default: any free port]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// Do not serve: write the explorer, fused with the store, to a file, for any WASI runtime.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}
