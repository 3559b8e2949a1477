//! What the providers of DynamoDB and S3 send for an operation, signed. A signature is good for some minutes.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kvfuse_bench_guest::key;
use kvfuse_bench_guest::requests::{BATCH, Http, VALUE};
use kvfuse_http::aws::credentials::Credentials;
use kvfuse_http::aws::sign::{self, Scope, Signed};
use kvfuse_http::calendar;
use kvfuse_http::escape::escaped;
use kvfuse_transport::http::Method;
use std::time::{SystemTime, UNIX_EPOCH};

/// A service, and who asks.
pub struct Service {
    pub name: &'static str,
    pub port: u16,
    pub access_key: (String, String),
}

impl Service {
    pub fn requests(&self, operation: &str) -> Result<Vec<Http>> {
        if self.name == "s3" { self.s3(operation) } else { self.dynamodb(operation) }
    }

    /// Of S3: a request for each key.
    fn s3(&self, operation: &str) -> Result<Vec<Http>> {
        let (method, keys) = match operation {
            "get" => (Method::Get, 7..8),
            "get-many" => (Method::Get, 0..BATCH),
            "set" => (Method::Put, 7..8),
            _ => (Method::Put, 0..BATCH),
        };
        let body = if method == Method::Put { "v".repeat(VALUE) } else { String::new() };
        let mark = STANDARD.encode([7; 16]);
        let more: &[(&'static str, &str)] =
            if method == Method::Put { &[("x-amz-meta-kvfuse-write", &mark)] } else { &[] };
        let request = |n| {
            let path = format!("/keyvalue/{}", escaped(&format!("default/{}", key(n)), true));
            self.signed(method, path, more, &body)
        };
        keys.map(request).collect()
    }

    /// Of DynamoDB: 100 reads in a request, and 25 writes.
    fn dynamodb(&self, operation: &str) -> Result<Vec<Http>> {
        const WRITES: usize = 25;
        let identity = |n| format!(r#""pk":{{"S":"default"}},"sk":{{"S":"k{}"}}"#, key(n));
        let (value, mark) = (STANDARD.encode("v".repeat(VALUE)), STANDARD.encode([7; 16]));
        let item = |n| format!(r#"{{{},"val":{{"B":"{value}"}},"ver":{{"B":"{mark}"}}}}"#, identity(n));
        let table = r#""TableName":"keyvalue""#;
        let list = |of: &mut dyn Iterator<Item = String>| of.collect::<Vec<_>>().join(",");
        let (name, bodies) = match operation {
            "get" => ("GetItem", vec![format!(r#"{{{table},"Key":{{{}}},"ConsistentRead":true}}"#, identity(7))]),
            "set" => ("PutItem", vec![format!(r#"{{{table},"Item":{}}}"#, item(7))]),
            "get-many" => {
                let keys = list(&mut (0..BATCH).map(|n| format!("{{{}}}", identity(n))));
                let asked = format!(r#"{{"Keys":[{keys}],"ConsistentRead":true}}"#);
                ("BatchGetItem", vec![format!(r#"{{"RequestItems":{{"keyvalue":{asked}}}}}"#)])
            }
            _ => {
                let part = |from| {
                    let puts = (from..from + WRITES).map(|n| format!(r#"{{"PutRequest":{{"Item":{}}}}}"#, item(n)));
                    format!(r#"{{"RequestItems":{{"keyvalue":[{}]}}}}"#, list(&mut { puts }))
                };
                ("BatchWriteItem", (0..BATCH).step_by(WRITES).map(part).collect())
            }
        };
        let target = format!("DynamoDB_20120810.{name}");
        let more = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        bodies.into_iter().map(|body| self.signed(Method::Post, "/".into(), &more, &body)).collect()
    }

    fn signed(&self, method: Method, path: String, more: &[(&'static str, &str)], body: &str) -> Result<Http> {
        let timestamp = calendar::timestamp(SystemTime::now().duration_since(UNIX_EPOCH)?);
        let (host, hash) = (format!("127.0.0.1:{}", self.port), sign::hash(body.as_bytes()));
        let mut headers = vec![("host", host.as_str()), ("x-amz-date", &timestamp)];
        if self.name == "s3" {
            headers.push(("x-amz-content-sha256", &hash));
        }
        headers.extend_from_slice(more);
        headers.sort_unstable();
        let signed = Signed { method, path: &path, query: "", headers: &headers, body: &hash };
        let scope = Scope { region: "us-east-1", service: self.name, timestamp: &timestamp };
        let (id, secret) = self.access_key.clone();
        let signature = sign::authorization(&signed, &scope, &Credentials { id, secret, token: None });
        let signature = signature.ok().context("a key")?;
        headers.retain(|(name, _)| *name != "host");
        headers.push(("authorization", &signature));
        let headers = headers.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Ok(Http { method: method.name().to_string(), path, headers, body: body.to_string() })
    }
}
