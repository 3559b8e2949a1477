//! Emulators of DynamoDB, with a table called `keyvalue`.

use crate::moto;
use crate::process::{Process, emulator, free_port, program, wait_until};
use std::path::Path;
use tempfile::TempDir;

/// Loaded into dynalite.
const ABORTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dynamodb/aborted.cjs");

/// The table that the stores expect, as docs/dynamodb.md creates it, in an emulator without streams.
const TABLE: &str = r#"{"TableName":"keyvalue","BillingMode":"PAY_PER_REQUEST",
    "KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}],
    "AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"S"}]}"#;

/// The same, with a stream.
fn table(view: &str) -> String {
    let stream = format!(r#"{{"StreamSpecification":{{"StreamEnabled":true,"StreamViewType":"{view}"}},"#);
    TABLE.replacen('{', &stream, 1)
}

pub struct DynamoDb {
    folder: TempDir,
    port: u16,
    process: Option<Process>,
    /// What [`DynamoDb::moto`] made.
    pub access_key: (String, String),
    /// The view type of the stream, of an emulator that was started by [`DynamoDb::streaming`].
    view: Option<&'static str>,
}

impl DynamoDb {
    /// Starts dynalite, which locks what it writes and does not check signatures. It keeps its data when it is killed.
    pub fn start() -> Self {
        let mut this = Self::new(None);
        this.resume();
        this.post("dynamodb", "application/x-amz-json-1.0", "CreateTable", TABLE);
        wait_until("the table is there", || {
            this.dynamodb("DescribeTable", r#"{"TableName":"keyvalue"}"#).contains("\"ACTIVE\"")
        });
        this
    }

    fn new(view: Option<&'static str>) -> Self {
        let access_key = ("AKIDEXAMPLE".into(), "hunter2".into());
        Self { folder: tempfile::tempdir().unwrap(), port: free_port(), process: None, access_key, view }
    }

    /// Starts moto, which does not check signatures, with a stream of the table that has this view type.
    pub fn streaming(view: &'static str) -> Self {
        let mut this = Self::new(Some(view));
        this.resume();
        this
    }

    /// Starts moto, of whose requests so many are not checked.
    fn run_moto(&mut self, unchecked: &str) {
        self.process = Some(moto::start(self.port, unchecked, self.folder.path()));
        self.wait_until_listening();
    }

    /// Starts moto, which checks signatures and policies, with a stream, and makes an access key for the table.
    pub fn moto() -> Self {
        let mut this = Self::new(None);
        // Those below, after which all are checked.
        this.run_moto("4");
        this.post("dynamodb", "application/x-amz-json-1.0", "CreateTable", &table("NEW_IMAGE"));
        this.access_key = moto::access_key(this.port, "dynamodb");
        this
    }

    /// Starts the emulator again after [`DynamoDb::kill`]: dynalite with its data, moto without, so that its stream is
    /// another one.
    pub fn resume(&mut self) {
        if let Some(view) = self.view {
            self.run_moto("inf");
            self.dynamodb("CreateTable", &table(view));
            return;
        }
        let cli = emulator("dynalite/node_modules/dynalite/cli.js");
        let options = format!("--host 127.0.0.1 --port {} --path data --createTableMs 0 --deleteTableMs 0", self.port);
        let mut arguments = vec!["--require".into(), ABORTED.into(), cli.display().to_string()];
        arguments.extend(options.split_whitespace().map(str::to_string));
        self.process = Some(Process::start(&program("node", "nodejs"), &arguments, self.folder.path()));
        self.wait_until_listening();
    }

    fn wait_until_listening(&mut self) {
        wait_until("the emulator of DynamoDB listens", || {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(!self.process.as_mut().is_some_and(Process::has_ended), "the emulator ended; its log: {log}");
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of `KEYVALUE_DYNAMODB_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Suspends it, with its connections open, until [`DynamoDb::thaw`].
    pub fn freeze(&self) {
        self.process.as_ref().expect("it runs").freeze();
    }

    pub fn thaw(&self) {
        self.process.as_ref().expect("it runs").thaw();
    }

    /// Sends an operation, as another client would that is not checked.
    pub fn dynamodb(&self, operation: &str, body: &str) -> String {
        self.post("dynamodb", "application/x-amz-json-1.0", operation, body)
    }

    fn post(&self, service: &str, content_type: &str, operation: &str, body: &str) -> String {
        moto::post(self.port, service, content_type, operation, body)
    }
}
