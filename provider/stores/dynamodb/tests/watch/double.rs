//! A model of a table with a stream, as DynamoDB's documentation describes it: shards that split, are closed and go away,
//! records that are trimmed, iterators that expire. Its time passes only when something is asked or waited for.

use super::common::{KEYS, random};
use kvfuse_core::{Bucket, Store};
use kvfuse_dynamodb::{Ambient, DynamoStore};
use kvfuse_servers::settings;
use kvfuse_transport::clock::{Clock, Moment};
use kvfuse_transport::http::{Headers, HttpClient, HttpFault, Request, Response, Streaming};
use serde_json::{Value, json};
use sha2::Digest;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// The second since 1970 at which a test begins.
const BEGUN: u64 = 1_700_000_000;
const DAY: u64 = 24 * 60 * 60;
/// Both partitions are in one stream.
pub const BUCKET: &str = "keyvalue/b";
pub const OTHER: &str = "keyvalue/other";

thread_local! {
    /// In nanoseconds since the test began.
    static NOW: Cell<u64> = const { Cell::new(0) };
}

pub fn pass(duration: Duration) {
    NOW.set(NOW.get() + u64::try_from(duration.as_nanos()).unwrap());
}

pub fn hours(number: u64) {
    pass(Duration::from_secs(number * 60 * 60));
}

fn second() -> u64 {
    BEGUN + NOW.get() / 1_000_000_000
}

#[derive(Clone)]
pub struct Time;

impl Clock for Time {
    fn now(&self) -> Moment {
        Moment(NOW.get())
    }

    fn sleep_until(&self, moment: Moment) {
        NOW.set(NOW.get().max(moment.0));
    }
}

struct Record {
    sequence: String,
    second: u64,
    partition: &'static str,
    key: String,
    /// `None` if it was deleted.
    value: Option<String>,
}

pub struct Part {
    pub id: String,
    parent: Option<String>,
    /// The keys whose hash is in this range are written to it.
    slots: std::ops::Range<u8>,
    records: Vec<Record>,
    /// So many of them are not there any more.
    trimmed: usize,
    pub closed: Option<u64>,
    pub listed: bool,
}

pub struct Table {
    /// What tells one stream of the table from another.
    pub label: u32,
    pub enabled: bool,
    pub parts: Vec<Part>,
    /// The bucket's items.
    pub items: BTreeMap<String, String>,
    /// Iterators of earlier epochs have expired.
    pub epoch: u32,
    /// Shards on a page of the description, and records in an answer.
    pub page: usize,
    pub most: usize,
    /// Answers to give instead, by operation; all operations if it is empty.
    pub instead: VecDeque<(&'static str, u16, String)>,
    /// The operations that were asked for, with the host and the shard.
    pub asked: Vec<String>,
    numbers: u64,
}

#[derive(Clone)]
pub struct Double(pub Rc<RefCell<Table>>);

impl Double {
    pub fn new() -> Self {
        let table = Table {
            label: 0,
            enabled: false,
            parts: Vec::new(),
            items: BTreeMap::new(),
            epoch: 0,
            page: 100,
            most: 1000,
            instead: VecDeque::new(),
            asked: Vec::new(),
            numbers: 0,
        };
        let this = Self(Rc::new(RefCell::new(table)));
        this.switch_on();
        this
    }

    pub fn bucket(&self, variables: &[(&str, &str)]) -> Rc<dyn Bucket> {
        let variables = [&KEYS[..], &[("KEYVALUE_DYNAMODB_ENDPOINT", "http://db:1")], variables].concat();
        let ambient = Ambient { since_1970: || Duration::from_secs(BEGUN) + Duration::from_nanos(NOW.get()), random };
        DynamoStore::new(&settings(&variables), self.clone(), Time, ambient).unwrap().open("b").unwrap()
    }

    pub fn switch_off(&self) {
        let mut table = self.0.borrow_mut();
        table.enabled = false;
        let now = second();
        table.parts.iter_mut().for_each(|part| part.closed = part.closed.or(Some(now)));
    }

    pub fn switch_on(&self) {
        let mut table = self.0.borrow_mut();
        (table.enabled, table.label) = (true, table.label + 1);
        table.parts.clear();
        table.open(None, 0..255);
    }

    pub fn set(&self, key: &str, value: &str) {
        let mut table = self.0.borrow_mut();
        table.items.insert(key.into(), value.into());
        table.record(BUCKET, key, Some(value));
    }

    pub fn delete(&self, key: &str) {
        let mut table = self.0.borrow_mut();
        if table.items.remove(key).is_some() {
            table.record(BUCKET, key, None);
        }
    }

    pub fn set_elsewhere(&self, key: &str) {
        self.0.borrow_mut().record(OTHER, key, Some("elsewhere"));
    }

    /// Closes a shard and gives it children, which are listed or not: not before their parent.
    pub fn split(&self, at: usize, children: usize, listed: bool) {
        let mut table = self.0.borrow_mut();
        let (id, slots) = (table.parts[at].id.clone(), table.parts[at].slots.clone());
        table.parts[at].closed = Some(second());
        let listed = listed && table.parts[at].listed;
        let middle = slots.start + (slots.end - slots.start) / 2;
        let ranges = if children == 2 { vec![slots.start..middle, middle..slots.end] } else { vec![slots] };
        for range in ranges {
            table.open(Some(id.clone()), range);
            table.parts.last_mut().unwrap().listed = listed;
        }
    }

    /// The shards that are written to.
    pub fn open_parts(&self) -> Vec<usize> {
        let table = self.0.borrow();
        (0..table.parts.len()).filter(|at| table.parts[*at].closed.is_none()).collect()
    }

    pub fn list_all(&self) {
        self.0.borrow_mut().parts.iter_mut().for_each(|part| part.listed = true);
    }

    /// Lets what is older than a day go.
    pub fn trim(&self) {
        let (mut table, now) = (self.0.borrow_mut(), second());
        for part in &mut table.parts {
            part.trimmed = part.records.iter().filter(|record| record.second + DAY < now).count();
        }
        table.parts.retain(|part| part.closed.is_none_or(|closed| closed + DAY >= now));
    }

    pub fn instead(&self, times: usize, operation: &'static str, exception: &str) {
        let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{exception}","message":"x"}}"#);
        let answers = std::iter::repeat_n((operation, 400, body), times);
        self.0.borrow_mut().instead.extend(answers);
    }

    /// How often an operation was asked for.
    pub fn count(&self, operation: &str) -> usize {
        self.0.borrow().asked.iter().filter(|asked| asked.contains(operation)).count()
    }
}

impl Table {
    fn open(&mut self, parent: Option<String>, slots: std::ops::Range<u8>) {
        self.numbers += 1;
        let id = format!("shardId-{:020}-{:08x}", second() * 1000, self.numbers);
        self.parts.push(Part { id, parent, slots, records: Vec::new(), trimmed: 0, closed: None, listed: true });
    }

    fn record(&mut self, partition: &'static str, key: &str, value: Option<&str>) {
        self.numbers += 1;
        let slot = key.bytes().fold(7u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)) % 255;
        let sequence = format!("{}00000000000000000000", self.numbers);
        let (key, value) = (key.to_string(), value.map(str::to_string));
        let record = Record { sequence, second: second(), partition, key, value };
        let mut open = self.parts.iter_mut().filter(|part| part.closed.is_none());
        if let Some(part) = open.find(|part| part.slots.contains(&slot)) {
            part.records.push(record);
        }
    }

    fn arn(&self) -> String {
        format!("arn:aws:dynamodb:us-east-1:123456789012:table/keyvalue/stream/{}", self.label)
    }

    fn answer(&mut self, operation: &str, asked: &Value) -> Result<Value, &'static str> {
        let text = |name: &str| asked[name].as_str().unwrap_or_default();
        if ["DescribeStream", "GetShardIterator"].contains(&operation) && text("StreamArn") != self.arn() {
            return Err("ResourceNotFoundException");
        }
        match operation {
            "DescribeTable" if self.enabled => Ok(json!({ "Table": { "LatestStreamArn": self.arn(),
                "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" } } })),
            "DescribeTable" => Ok(json!({ "Table": { "LatestStreamArn": self.arn() } })),
            "DescribeStream" => {
                let listed: Vec<&Part> = self.parts.iter().filter(|part| part.listed).collect();
                let last = listed.iter().position(|part| part.id == text("ExclusiveStartShardId"));
                let page: Vec<&&Part> = listed.iter().skip(last.map_or(0, |last| last + 1)).take(self.page).collect();
                let more = page.last().filter(|part| part.id != listed.last().unwrap().id);
                let shown = page.iter().map(|part| {
                    let mut range = json!({ "StartingSequenceNumber": "1" });
                    if part.closed.is_some() {
                        range["EndingSequenceNumber"] = "9".into();
                    }
                    let mut shard = json!({ "ShardId": part.id, "SequenceNumberRange": range });
                    if let Some(parent) = &part.parent {
                        shard["ParentShardId"] = parent.as_str().into();
                    }
                    shard
                });
                let mut description = json!({ "StreamArn": self.arn(), "Shards": shown.collect::<Vec<_>>() });
                if let Some(part) = more {
                    description["LastEvaluatedShardId"] = part.id.as_str().into();
                }
                Ok(json!({ "StreamDescription": description }))
            }
            "GetShardIterator" => {
                let part = self.parts.iter().find(|part| part.id == text("ShardId"));
                let part = part.ok_or("ResourceNotFoundException")?;
                let index = match text("ShardIteratorType") {
                    "TRIM_HORIZON" => part.trimmed,
                    "LATEST" => part.records.len(),
                    "AFTER_SEQUENCE_NUMBER" => {
                        let at = part.records.iter().position(|record| record.sequence == text("SequenceNumber"));
                        let at = at.expect("a record of this shard");
                        if at < part.trimmed {
                            return Err("TrimmedDataAccessException");
                        }
                        at + 1
                    }
                    other => panic!("{other}"),
                };
                Ok(json!({ "ShardIterator": format!("{} {index} {}", part.id, self.epoch) }))
            }
            "GetRecords" => {
                let words: Vec<&str> = text("ShardIterator").split(' ').collect();
                let (index, epoch): (usize, u32) = (words[1].parse().unwrap(), words[2].parse().unwrap());
                if epoch != self.epoch {
                    return Err("ExpiredIteratorException");
                }
                let part = self.parts.iter().find(|part| part.id == words[0]).ok_or("ResourceNotFoundException")?;
                if index < part.trimmed {
                    return Err("TrimmedDataAccessException");
                }
                let limit = usize::try_from(asked["Limit"].as_u64().unwrap()).unwrap().min(self.most);
                let records: Vec<Value> = part.records.iter().skip(index).take(limit).map(shown).collect();
                let next = index + records.len();
                let mut answer = json!({ "Records": records });
                if part.closed.is_none() || next < part.records.len() {
                    answer["NextShardIterator"] = format!("{} {next} {}", part.id, self.epoch).into();
                }
                Ok(answer)
            }
            "Query" => {
                let items: Vec<Value> =
                    self.items.keys().map(|key| json!({ "sk": { "S": format!("k{key}") } })).collect();
                Ok(json!({ "Items": items }))
            }
            "BatchGetItem" => {
                let keys = asked["RequestItems"]["keyvalue"]["Keys"].as_array().unwrap();
                let keys = keys.iter().map(|key| key["sk"]["S"].as_str().unwrap().strip_prefix('k').unwrap());
                let found = keys.filter_map(|key| Some(item(key, self.items.get(key)?)));
                Ok(json!({ "Responses": { "keyvalue": found.collect::<Vec<_>>() } }))
            }
            other => panic!("{other}"),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A long key is a beginning and a hash, and an attribute.
fn sort_key(key: &str) -> String {
    match key.get(..940) {
        Some(beginning) => format!("k{beginning}{}", hex(&sha2::Sha256::digest(key))),
        None => format!("k{key}"),
    }
}

fn item(key: &str, value: &str) -> Value {
    let mut item = json!({ "pk": { "S": BUCKET }, "sk": { "S": sort_key(key) }, "num": { "N": value } });
    if key.len() > 940 {
        item["key"] = json!({ "S": key });
    }
    item
}

fn shown(record: &Record) -> Value {
    let keys = json!({ "pk": { "S": record.partition }, "sk": { "S": sort_key(&record.key) } });
    let mut change = json!({ "SequenceNumber": record.sequence, "Keys": keys,
        "ApproximateCreationDateTime": record.second });
    match &record.value {
        Some(value) => change["NewImage"] = item(&record.key, value),
        None => {
            let by = json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" });
            return json!({ "eventName": "REMOVE", "userIdentity": by, "dynamodb": change });
        }
    }
    json!({ "eventName": "MODIFY", "dynamodb": change })
}

impl HttpClient for Double {
    fn exchange(&self, request: &Request<'_>, _: Moment) -> Result<Response, HttpFault> {
        pass(Duration::from_millis(1));
        let target = request.headers.iter().find(|(name, _)| *name == "x-amz-target").unwrap().1;
        let operation = target.split('.').nth(1).unwrap();
        let asked: Value = serde_json::from_slice(request.body).unwrap();
        let mut table = self.0.borrow_mut();
        table.asked.push(format!("{} {target} {}", request.authority, asked["ShardIterator"]));
        if table.instead.front().is_some_and(|(of, _, _)| operation.starts_with(of)) {
            let (_, status, body) = table.instead.pop_front().unwrap();
            return Ok(Response { status, headers: Headers::default(), body: body.into_bytes() });
        }
        let (status, body) = match table.answer(operation, &asked) {
            Ok(answer) => (200, answer.to_string()),
            Err(name) => (400, format!(r#"{{"__type":"x#{name}","message":"x"}}"#)),
        };
        Ok(Response { status, headers: Headers::default(), body: body.into_bytes() })
    }

    fn stream(&self, _: &Request<'_>, _: Moment, _: Duration) -> Result<Streaming, HttpFault> {
        panic!("no answer is a stream")
    }
}
