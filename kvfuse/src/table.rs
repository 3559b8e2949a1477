//! The stores, as data. Read by the build script as well, which embeds the files named here.

pub struct Store {
    pub name: &'static str,
    pub about: &'static str,
    /// The provider components in the order in which they are tried. They differ in the generations of the interface
    /// that they export; what each one has is read from the file itself.
    pub files: &'static [&'static str],
    /// The environment variables that this store reads, beside those of every store.
    pub variables: &'static [Variable],
}

pub struct Variable {
    pub name: &'static str,
    pub about: &'static str,
    /// A value to show in an example. For an endpoint also what a server of one's own usually has.
    pub example: &'static str,
    pub role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Where the store is: URLs separated by commas. The store cannot work without it.
    #[cfg_attr(not(feature = "engines"), allow(dead_code))]
    Endpoint,
    /// Passed on when it is set.
    Setting,
    /// The same, and its value must never be printed.
    #[cfg_attr(not(feature = "engines"), allow(dead_code))]
    Secret,
}

const fn setting(name: &'static str, about: &'static str, example: &'static str) -> Variable {
    Variable { name, about, example, role: Role::Setting }
}

#[cfg(feature = "engines")]
const fn endpoint(name: &'static str, about: &'static str, example: &'static str) -> Variable {
    Variable { name, about, example, role: Role::Endpoint }
}

#[cfg(feature = "engines")]
const fn secret(name: &'static str, about: &'static str) -> Variable {
    Variable { name, about, example: "", role: Role::Secret }
}

/// What every store reads.
pub const COMMON: &[Variable] = &[
    setting("KEYVALUE_BUCKETS", "the only buckets that may be opened, separated by commas", "default,sessions"),
    setting("KEYVALUE_MAX_VALUE", "the largest value passed as a byte list", "16M"),
];

/// Those of the feature `engines` are left out where only files are wanted, as in the project's own build.
pub const STORES: &[Store] = &[
    FILES,
    #[cfg(feature = "engines")]
    REDIS,
    #[cfg(feature = "engines")]
    ETCD,
];

const FILES: Store = Store {
    name: "files",
    about: "append-only files in a directory",
    files: &["keyvalue.wasm", "keyvalue_draft2_2024.wasm", "keyvalue_0_1_methods.wasm"],
    variables: &[
        setting("KEYVALUE_DIR", "the directory among several granted ones, or a path inside one", "/"),
        setting("KEYVALUE_DURABILITY", "full: what was acknowledged survives a power cut", "full"),
        setting("KEYVALUE_MEMORY", "how much of the store an instance keeps in memory", "8M"),
    ],
};

#[cfg(feature = "engines")]
const REDIS: Store = Store {
    name: "redis",
    about: "a Redis or Valkey server",
    files: &["keyvalue_redis.wasm", "keyvalue_redis_draft2_2024.wasm", "keyvalue_redis_0_1_methods.wasm"],
    variables: &[
        endpoint(
            "KEYVALUE_REDIS_URL",
            "the server: redis://[[user][:password]@]host[:port][/database]",
            "redis://127.0.0.1:6379",
        ),
        setting("KEYVALUE_REDIS_USERNAME", "an ACL user, instead of one in the URL", "app"),
        secret("KEYVALUE_REDIS_PASSWORD", "the password, instead of one in the URL"),
        setting("KEYVALUE_REDIS_LAYOUT", "how keys are laid out: prefix, raw or hash", "raw"),
        PREFIX,
        TIMEOUT,
    ],
};

#[cfg(feature = "engines")]
const ETCD: Store = Store {
    name: "etcd",
    about: "an etcd cluster",
    files: &["keyvalue_etcd.wasm", "keyvalue_etcd_draft2_2024.wasm", "keyvalue_etcd_0_1_methods.wasm"],
    variables: &[
        endpoint(
            "KEYVALUE_ETCD_ENDPOINTS",
            "the members' client addresses, separated by commas",
            "http://127.0.0.1:2379",
        ),
        setting("KEYVALUE_ETCD_USERNAME", "the login", "app"),
        secret("KEYVALUE_ETCD_PASSWORD", "its password"),
        setting("KEYVALUE_TTL_S", "how long a key lives after it was last written, in seconds", "3600"),
        PREFIX,
        TIMEOUT,
    ],
};

#[cfg(feature = "engines")]
const PREFIX: Variable = setting("KEYVALUE_PREFIX", "what every key begins with in the server", "app/");
#[cfg(feature = "engines")]
const TIMEOUT: Variable = setting("KEYVALUE_TIMEOUT_MS", "the longest that one call may take", "5000");
