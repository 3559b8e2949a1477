//! The stores. A store consists of a stanza here, a folder `provider/stores/<name>` with the crate `kvfuse-<name>`, and
//! a page `docs/<name>.md`.

/// One store.
#[derive(Debug)]
pub struct Store {
    /// What `kvfuse --store` takes. The crate, its folder and its page are called after it.
    pub name: &'static str,
    /// What it is, in half a sentence.
    pub about: &'static str,
    /// The name of its artefacts: of the first one, and what the others begin with. In kebab case, because
    /// `wasm-tools compose` takes the name of an instance from that of the file.
    pub artefact: &'static str,
    /// The WASI interfaces that its artefacts import beside [`COMMON_IMPORTS`]: no more and no fewer. The build fails
    /// when an artefact imports others.
    pub imports: &'static [&'static str],
    /// What its asynchronous artefact imports as well, if calls wait beside each other there: of WASI 0.3. Otherwise its
    /// asynchronous functions wait inside their calls, as all others do.
    pub waiting: Option<&'static [&'static str]>,
    /// The environment variables that it reads, beside [`COMMON`].
    pub variables: &'static [Variable],
    /// The largest size of a value together with its key and the name of its bucket, in bytes, if the server has such a
    /// limit by default. Slightly smaller ones may be refused as well, because the prefix that the settings put before
    /// keys counts.
    pub largest: Option<u64>,
    /// The longest key together with the name of its bucket, in bytes, if keys have a limit of their own. Slightly shorter
    /// ones may be refused as well: the prefix counts, and so does what some characters are written as.
    pub longest_key: Option<u64>,
    /// Whether its keys can have lifetimes of their own.
    pub lifetimes: bool,
    /// Whether it can list its keys. One that cannot refuses, with the reason.
    pub lists: bool,
    /// Set for a store that is another one with more inside, and an artefact of its own so that the other's does not grow.
    /// It reads and writes the same data.
    pub extends: Option<Extends>,
    /// The variables that it is run with in tests; empty for a store that needs no server. `${NAME}` is replaced by a
    /// variable of the test's own environment, in which `kvfuse-servers` puts the addresses of its servers; `{case}` is
    /// replaced by something unique to the case.
    pub tested_with: &'static [(&'static str, &'static str)],
}

/// What a store with more inside is taken for.
#[derive(Clone, Copy, Debug)]
pub struct Extends {
    /// The name of the store that it extends.
    pub store: &'static str,
    /// The schemes of URLs for which it is taken in place of that one.
    pub schemes: &'static [&'static str],
}

/// An environment variable that a store reads.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it sets, in half a sentence.
    pub about: &'static str,
    /// A value to show in an example. For an endpoint, this is also the usual address of a local server.
    pub example: &'static str,
    /// What it is for.
    pub role: Role,
}

/// What a variable is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Where the store is: URLs separated by commas. The store cannot work without it.
    Endpoint,
    /// Where a part of the store is, if that does not follow from the endpoint: URLs separated by commas.
    Beside,
    /// A setting that is passed on when it is set.
    Setting,
    /// The same, but its value must never be printed.
    Secret,
}

/// What a running component is granted for its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A directory.
    Directory,
    /// TCP and name resolution.
    Network,
    /// Outgoing HTTP requests.
    Http,
}

impl Store {
    /// Whether it is one of the stores that the artefacts with every store contain.
    pub fn is_in_together(&self) -> bool {
        self.extends.is_none()
    }

    /// The variable that says where it is, if it is somewhere.
    pub fn endpoint(&self) -> Option<&'static Variable> {
        self.variables.iter().find(|variable| variable.role == Role::Endpoint)
    }

    /// The store that a URL in its [`endpoint`](Self::endpoint) is for: this one, or one that extends it.
    ///
    /// ```
    /// use kvfuse_table::STORES;
    ///
    /// let redis = STORES.iter().find(|store| store.name == "redis").unwrap();
    /// assert_eq!(redis.for_url("REDISS://cache").name, "redis-tls");
    /// assert_eq!(redis.for_url("rediss+cluster://cache,other").name, "redis-tls");
    /// assert_eq!(redis.for_url("redis://cache").name, "redis");
    /// ```
    pub fn for_url(&'static self, url: &str) -> &'static Self {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
        let takes = |store: &&Store| {
            store.extends.is_some_and(|extends| extends.store == self.name && extends.schemes.contains(&&*scheme))
        };
        STORES.iter().find(takes).unwrap_or(self)
    }

    /// What it has to be granted, according to its imports.
    ///
    /// ```
    /// use kvfuse_table::{Grant, STORES};
    ///
    /// let etcd = STORES.iter().find(|store| store.name == "etcd").unwrap();
    /// assert_eq!(etcd.grants(), [Grant::Http]);
    /// ```
    pub fn grants(&self) -> Vec<Grant> {
        let kinds =
            [("wasi:filesystem/", Grant::Directory), ("wasi:sockets/", Grant::Network), ("wasi:http/", Grant::Http)];
        let imports = |start: &str| self.imports.iter().any(|import| import.starts_with(start));
        kinds.into_iter().filter(|(start, _)| imports(start)).map(|(_, grant)| grant).collect()
    }
}

const fn setting(name: &'static str, about: &'static str, example: &'static str) -> Variable {
    Variable { name, about, example, role: Role::Setting }
}

const fn endpoint(name: &'static str, about: &'static str, example: &'static str) -> Variable {
    Variable { name, about, example, role: Role::Endpoint }
}

const fn beside(name: &'static str, about: &'static str, example: &'static str) -> Variable {
    Variable { name, about, example, role: Role::Beside }
}

const fn secret(name: &'static str, about: &'static str) -> Variable {
    Variable { name, about, example: "", role: Role::Secret }
}

/// The variables that every store reads.
pub const COMMON: &[Variable] = &[
    setting("KEYVALUE_BUCKETS", "the only buckets that may be opened, separated by commas", "default,sessions"),
    setting("KEYVALUE_MAX_VALUE", "the largest value passed as a byte list", "16M"),
    setting("KEYVALUE_STALE_MS", "how old what a read returns may be, in milliseconds", "1000"),
    setting("KEYVALUE_LABEL", "a label whose buckets are apart from all others", "sessions"),
    setting("KEYVALUE_WATCH_NAME", "the name under which a component that watches keeps its position", "app"),
];

/// The variables that only the artefacts with every store read.
pub const ROUTING: &[Variable] = &[
    setting("KEYVALUE_STORE", "the store of the buckets that are not routed", "files"),
    setting("KEYVALUE_ROUTES", "the stores of single buckets, separated by commas", "sessions=redis,carts=etcd"),
];

/// The name of the artefacts that contain every store and choose one by the bucket's name. It is not in [`STORES`]: it
/// imports what all of them do.
pub static TOGETHER: Store = Store {
    name: "stores",
    about: "several stores, by the bucket's name",
    artefact: "keyvalue-stores",
    imports: &[],
    waiting: None,
    variables: ROUTING,
    largest: None,
    longest_key: None,
    lifetimes: false,
    lists: true,
    extends: None,
    tested_with: &[],
};

/// What every artefact imports.
pub const COMMON_IMPORTS: &[&str] = &[
    // Values that are passed as streams.
    "wasi:io/error@0.2.12",
    "wasi:io/streams@0.2.12",
    // The cache and bounded staleness keep time, and the cache's futures are pollables.
    "wasi:clocks/monotonic-clock@0.2.12",
    "wasi:clocks/wall-clock@0.2.12",
    "wasi:io/poll@0.2.12",
    // The configuration.
    "wasi:cli/environment@0.2.12",
    // The reason of a trap, where the signature of a call has no place for an error.
    "wasi:cli/stderr@0.2.12",
];

/// All stores. The first one is the default.
pub const STORES: &[Store] = &[
    Store {
        name: "files",
        about: "append-only files in a directory",
        artefact: "keyvalue",
        imports: &[
            // Its directory.
            "wasi:filesystem/preopens@0.2.12",
            "wasi:filesystem/types@0.2.12",
            // The key of the checksums and hashes of a new bucket.
            "wasi:random/random@0.2.12",
        ],
        waiting: None,
        variables: &[
            setting("KEYVALUE_DIR", "the directory among several granted ones, or a path inside one", "/"),
            setting("KEYVALUE_DURABILITY", "full: what was acknowledged survives a power cut", "full"),
            setting("KEYVALUE_MEMORY", "how much of the store an instance keeps in memory", "16M"),
        ],
        largest: None,
        longest_key: None,
        lifetimes: true,
        lists: true,
        extends: None,
        tested_with: &[],
    },
    Store {
        name: "redis",
        about: "a Redis or Valkey server",
        artefact: "keyvalue-redis",
        imports: &[
            "wasi:sockets/network@0.2.12",
            "wasi:sockets/instance-network@0.2.12",
            "wasi:sockets/ip-name-lookup@0.2.12",
            "wasi:sockets/tcp@0.2.12",
            "wasi:sockets/tcp-create-socket@0.2.12",
        ],
        waiting: SOCKETS_WAITING,
        variables: &[
            endpoint(
                "KEYVALUE_REDIS_URL",
                "the server: redis://[[user][:password]@]host[:port][/database]; redis+sentinel://host,host/name and \
                 redis+cluster://host,host for several",
                "redis://127.0.0.1:6379",
            ),
            REDIS_USERNAME,
            REDIS_PASSWORD,
            SENTINEL_USERNAME,
            SENTINEL_PASSWORD,
            REDIS_SERVERS,
            REDIS_LAYOUT,
            PREFIX,
            TIMEOUT,
        ],
        largest: Some(512 << 20),
        longest_key: None,
        lifetimes: true,
        lists: true,
        extends: None,
        tested_with: &[
            ("KEYVALUE_REDIS_URL", "${KVFUSE_REDIS_URL}"),
            ("KEYVALUE_PREFIX", "{case}/"),
            ("KEYVALUE_TIMEOUT_MS", "60000"),
        ],
    },
    Store {
        name: "redis-tls",
        about: "a Redis or Valkey server over TLS",
        artefact: "keyvalue-redis-tls",
        imports: &[
            "wasi:sockets/network@0.2.12",
            "wasi:sockets/instance-network@0.2.12",
            "wasi:sockets/ip-name-lookup@0.2.12",
            "wasi:sockets/tcp@0.2.12",
            "wasi:sockets/tcp-create-socket@0.2.12",
            // The keys of a connection.
            "wasi:random/random@0.2.12",
        ],
        waiting: SOCKETS_WAITING,
        variables: &[
            endpoint(
                "KEYVALUE_REDIS_URL",
                "the server: rediss://[[user][:password]@]host[:port][/database], or redis:// without TLS; \
                 rediss+sentinel://host,host/name and rediss+cluster://host,host for several",
                "rediss://127.0.0.1:6379",
            ),
            setting("KEYVALUE_TLS_CA", "the authorities to trust instead of Mozilla's, in PEM", "\"$(cat ca.pem)\""),
            REDIS_USERNAME,
            REDIS_PASSWORD,
            SENTINEL_USERNAME,
            SENTINEL_PASSWORD,
            REDIS_SERVERS,
            REDIS_LAYOUT,
            PREFIX,
            TIMEOUT,
        ],
        largest: Some(512 << 20),
        longest_key: None,
        lifetimes: true,
        lists: true,
        extends: Some(Extends { store: "redis", schemes: REDIS_TLS_SCHEMES }),
        tested_with: &[
            ("KEYVALUE_REDIS_URL", "${KVFUSE_REDIS_TLS_URL}"),
            ("KEYVALUE_TLS_CA", "${KVFUSE_REDIS_TLS_CA}"),
            ("KEYVALUE_PREFIX", "{case}/"),
            ("KEYVALUE_TIMEOUT_MS", "60000"),
        ],
    },
    Store {
        name: "memcached",
        about: "a Memcached server, or several",
        artefact: "keyvalue-memcached",
        imports: &[
            "wasi:sockets/network@0.2.12",
            "wasi:sockets/instance-network@0.2.12",
            "wasi:sockets/ip-name-lookup@0.2.12",
            "wasi:sockets/tcp@0.2.12",
            "wasi:sockets/tcp-create-socket@0.2.12",
        ],
        waiting: SOCKETS_WAITING,
        variables: &[
            endpoint(
                "KEYVALUE_MEMCACHED_SERVERS",
                "the servers: memcached://host[:port], separated by commas",
                "memcached://127.0.0.1:11211",
            ),
            setting("KEYVALUE_MEMCACHED_USERNAME", "the login", "app"),
            secret("KEYVALUE_MEMCACHED_PASSWORD", "its password"),
            PREFIX,
            TIMEOUT,
        ],
        largest: Some((1 << 20) - 256),
        longest_key: None,
        lifetimes: true,
        lists: false,
        extends: None,
        tested_with: &[
            ("KEYVALUE_MEMCACHED_SERVERS", "${KVFUSE_MEMCACHED_SERVERS}"),
            ("KEYVALUE_PREFIX", "{case}/"),
            ("KEYVALUE_TIMEOUT_MS", "60000"),
        ],
    },
    Store {
        name: "etcd",
        about: "an etcd cluster",
        artefact: "keyvalue-etcd",
        imports: &["wasi:http/types@0.2.12", "wasi:http/outgoing-handler@0.2.12"],
        waiting: HTTP_WAITING,
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
        largest: Some(1_572_864 - 256),
        longest_key: None,
        lifetimes: true,
        lists: true,
        extends: None,
        tested_with: &[
            ("KEYVALUE_ETCD_ENDPOINTS", "${KVFUSE_ETCD_ENDPOINTS}"),
            ("KEYVALUE_PREFIX", "{case}/"),
            ("KEYVALUE_TIMEOUT_MS", "60000"),
        ],
    },
    Store {
        name: "dynamodb",
        about: "a table in DynamoDB",
        artefact: "keyvalue-dynamodb",
        imports: &[
            "wasi:http/types@0.2.12",
            "wasi:http/outgoing-handler@0.2.12",
            // What tells a write from every other one.
            "wasi:random/random@0.2.12",
        ],
        waiting: HTTP_WAITING,
        variables: &[
            endpoint(
                "KEYVALUE_DYNAMODB_ENDPOINT",
                "the endpoint of the service in the region of the table",
                "https://dynamodb.eu-west-1.amazonaws.com",
            ),
            beside(
                "KEYVALUE_DYNAMODB_STREAMS_ENDPOINT",
                "the endpoint of the table's stream, if it does not follow from the other one",
                "https://streams.dynamodb.eu-west-1.amazonaws.com",
            ),
            setting("KEYVALUE_DYNAMODB_TABLE", "the name of the table", "keyvalue"),
            setting("KEYVALUE_DYNAMODB_LAYOUT", "how keys are laid out: own, or as Spin does, spin", "spin"),
            setting("KEYVALUE_DYNAMODB_REGION", "the region, if the endpoint does not say it", "eu-west-1"),
            AWS_REGION,
            secret("KEYVALUE_DYNAMODB_ACCESS_KEY_ID", "the access key, instead of that in the AWS variables"),
            secret("KEYVALUE_DYNAMODB_SECRET_ACCESS_KEY", "its secret"),
            secret("KEYVALUE_DYNAMODB_SESSION_TOKEN", "its session token, if it is temporary"),
            AWS_ACCESS_KEY_ID,
            AWS_SECRET_ACCESS_KEY,
            AWS_SESSION_TOKEN,
            AWS_CONTAINER_RELATIVE,
            AWS_CONTAINER_FULL,
            AWS_CONTAINER_TOKEN,
            AWS_INSTANCE,
            setting("KEYVALUE_TTL_S", "how long a key lives after it was last written, in seconds", "3600"),
            PREFIX,
            TIMEOUT,
        ],
        largest: Some((400 << 10) - 256),
        longest_key: None,
        lifetimes: true,
        lists: true,
        extends: None,
        tested_with: &[
            ("KEYVALUE_DYNAMODB_ENDPOINT", "${KVFUSE_DYNAMODB_ENDPOINT}"),
            ("KEYVALUE_DYNAMODB_REGION", "us-east-1"),
            ("KEYVALUE_DYNAMODB_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("KEYVALUE_DYNAMODB_SECRET_ACCESS_KEY", "any"),
            ("KEYVALUE_PREFIX", "{case}/"),
            ("KEYVALUE_TIMEOUT_MS", "60000"),
        ],
    },
    Store {
        name: "azure",
        about: "a table in Azure Tables",
        artefact: "keyvalue-azure",
        imports: &[
            "wasi:http/types@0.2.12",
            "wasi:http/outgoing-handler@0.2.12",
            // What tells a write from every other one.
            "wasi:random/random@0.2.12",
        ],
        waiting: HTTP_WAITING,
        variables: &[
            endpoint(
                "KEYVALUE_AZURE_ENDPOINT",
                "the endpoint of the account's Table service",
                "https://ACCOUNT.table.core.windows.net",
            ),
            setting("KEYVALUE_AZURE_TABLE", "the name of the table", "keyvalue"),
            setting("KEYVALUE_AZURE_ACCOUNT", "the name of the account, if the endpoint does not say it", "account"),
            secret("KEYVALUE_AZURE_KEY", "a key of the account"),
            secret("KEYVALUE_AZURE_SAS", "a shared access signature, instead of a key"),
            setting("KEYVALUE_TTL_S", "how long a key lives after it was last written, in seconds", "3600"),
            PREFIX,
            TIMEOUT,
        ],
        largest: Some((1 << 20) - 4096),
        longest_key: None,
        lifetimes: true,
        lists: true,
        extends: None,
        tested_with: &[
            ("KEYVALUE_AZURE_ENDPOINT", "${KVFUSE_AZURE_ENDPOINT}"),
            ("KEYVALUE_AZURE_KEY", "${KVFUSE_AZURE_KEY}"),
            ("KEYVALUE_PREFIX", "{case}/"),
            ("KEYVALUE_TIMEOUT_MS", "60000"),
        ],
    },
    Store {
        name: "s3",
        about: "a bucket in S3, or in what speaks its protocol",
        artefact: "keyvalue-s3",
        imports: &[
            "wasi:http/types@0.2.12",
            "wasi:http/outgoing-handler@0.2.12",
            // What tells a write from every other one.
            "wasi:random/random@0.2.12",
        ],
        waiting: HTTP_WAITING,
        variables: &[
            endpoint(
                "KEYVALUE_S3_ENDPOINT",
                "the endpoint of the service, with the bucket as its path or in its host",
                "https://s3.eu-west-1.amazonaws.com/BUCKET",
            ),
            setting("KEYVALUE_S3_BUCKET", "the bucket, if the endpoint does not say it", "app-data"),
            setting("KEYVALUE_S3_REGION", "the region, if the endpoint does not say it", "eu-west-1"),
            AWS_REGION,
            secret("KEYVALUE_S3_ACCESS_KEY_ID", "the access key, instead of that in the AWS variables"),
            secret("KEYVALUE_S3_SECRET_ACCESS_KEY", "its secret"),
            secret("KEYVALUE_S3_SESSION_TOKEN", "its session token, if it is temporary"),
            AWS_ACCESS_KEY_ID,
            AWS_SECRET_ACCESS_KEY,
            AWS_SESSION_TOKEN,
            AWS_CONTAINER_RELATIVE,
            AWS_CONTAINER_FULL,
            AWS_CONTAINER_TOKEN,
            AWS_INSTANCE,
            PREFIX,
            TIMEOUT,
        ],
        largest: Some((5 << 30) - 2048),
        longest_key: Some(1024 - 1),
        lifetimes: false,
        lists: true,
        extends: None,
        tested_with: &[
            ("KEYVALUE_S3_ENDPOINT", "${KVFUSE_S3_ENDPOINT}"),
            ("KEYVALUE_S3_ACCESS_KEY_ID", "${KVFUSE_S3_ACCESS_KEY_ID}"),
            ("KEYVALUE_S3_SECRET_ACCESS_KEY", "${KVFUSE_S3_SECRET_ACCESS_KEY}"),
            ("KEYVALUE_PREFIX", "{case}/"),
            ("KEYVALUE_TIMEOUT_MS", "60000"),
        ],
    },
];

/// The URLs whose servers speak TLS.
const REDIS_TLS_SCHEMES: &[&str] =
    &["rediss", "valkeys", "rediss+sentinel", "valkeys+sentinel", "rediss+cluster", "valkeys+cluster"];

/// What a store over sockets waits on where calls wait beside each other.
const SOCKETS_WAITING: Option<&[&str]> =
    Some(&["wasi:clocks/monotonic-clock@0.3.0", "wasi:sockets/types@0.3.0", "wasi:sockets/ip-name-lookup@0.3.0"]);

/// What a store over HTTP waits on there.
const HTTP_WAITING: Option<&[&str]> =
    Some(&["wasi:clocks/monotonic-clock@0.3.0", "wasi:http/types@0.3.0", "wasi:http/client@0.3.0"]);

const REDIS_USERNAME: Variable = setting("KEYVALUE_REDIS_USERNAME", "an ACL user, instead of one in the URL", "app");
const REDIS_PASSWORD: Variable = secret("KEYVALUE_REDIS_PASSWORD", "the password, instead of one in the URL");
const SENTINEL_USERNAME: Variable = setting("KEYVALUE_REDIS_SENTINEL_USERNAME", "an ACL user of the sentinels", "app");
const SENTINEL_PASSWORD: Variable = secret("KEYVALUE_REDIS_SENTINEL_PASSWORD", "the password of the sentinels");
const REDIS_SERVERS: Variable = beside(
    "KEYVALUE_REDIS_SERVERS",
    "the servers that sentinels or the nodes of a cluster may name, beside those in the URL",
    "10.0.0.4:6379,10.0.0.5:6379",
);
const REDIS_LAYOUT: Variable = setting("KEYVALUE_REDIS_LAYOUT", "how keys are laid out: prefix, raw or hash", "raw");
const AWS_REGION: Variable = setting("AWS_REGION", "the same, if neither says it", "eu-west-1");
const AWS_ACCESS_KEY_ID: Variable = secret("AWS_ACCESS_KEY_ID", "the access key");
const AWS_SECRET_ACCESS_KEY: Variable = secret("AWS_SECRET_ACCESS_KEY", "its secret");
const AWS_SESSION_TOKEN: Variable = secret("AWS_SESSION_TOKEN", "its session token, if it is temporary");
const AWS_CONTAINER_RELATIVE: Variable =
    secret("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "what gives out access keys in a container, as a path");
const AWS_CONTAINER_FULL: Variable = beside(
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "what gives out access keys in a container, as a URL",
    "http://169.254.170.23/v1/credentials",
);
const AWS_CONTAINER_TOKEN: Variable = secret("AWS_CONTAINER_AUTHORIZATION_TOKEN", "what a container says to it");
const AWS_INSTANCE: Variable = beside(
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "what gives out access keys on an instance of EC2 that has a role",
    "http://169.254.169.254",
);
const PREFIX: Variable = setting("KEYVALUE_PREFIX", "what every key begins with in the server", "app/");
const TIMEOUT: Variable = setting("KEYVALUE_TIMEOUT_MS", "the longest that one call may take", "5000");
