//! moto, an emulator of AWS that checks signatures and policies.

use crate::clock::SystemClock;
use crate::http::StdHttp;
use crate::process::{Process, emulator, program};
use kvfuse_transport::clock::Clock;
use kvfuse_transport::http::{HttpClient, Method, Request, Scheme};
use std::path::Path;
use std::time::Duration;

/// Starts it. Of its requests, so many are not checked; `inf` for all of them.
pub fn start(port: u16, unchecked: &str, folder: &Path) -> Process {
    let mut command = vec![format!("INITIAL_NO_AUTH_ACTION_COUNT={unchecked}")];
    command.push(emulator("moto/bin/moto_server").display().to_string());
    command.extend(["-H", "127.0.0.1", "-p", &port.to_string()].map(str::to_string));
    Process::start(&program("env", "coreutils"), &command, folder)
}

/// Makes an access key that may do everything with a service, in three requests that are not checked.
pub fn access_key(port: u16, service: &str) -> (String, String) {
    let iam = |body: &str| post(port, "iam", "application/x-www-form-urlencoded", "", body);
    iam("Action=CreateUser&Version=2010-05-08&UserName=ann");
    // {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"SERVICE:*","Resource":"*"}]}
    iam(&format!(
        "Action=PutUserPolicy&Version=2010-05-08&UserName=ann&PolicyName=all&PolicyDocument=%7B%22Version%22%3A%222012-10-17\
         %22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22{service}%3A%2A%22%2C%22Resource%22%3A%22%2A\
         %22%7D%5D%7D"
    ));
    let key = iam("Action=CreateAccessKey&Version=2010-05-08&UserName=ann");
    let element = |name: &str| {
        let after = key.split(&format!("<{name}>")).nth(1).and_then(|rest| rest.split('<').next());
        after.unwrap_or_else(|| panic!("no {name} in {key}")).to_string()
    };
    (element("AccessKeyId"), element("SecretAccessKey"))
}

/// Sends an operation, as another client would that is not checked.
pub fn post(port: u16, service: &str, content_type: &str, operation: &str, body: &str) -> String {
    let target = format!("DynamoDB_20120810.{operation}");
    let target = (!operation.is_empty()).then_some(("x-amz-target", target.as_str()));
    send(port, service, Method::Post, "/", &[Some(("content-type", content_type)), target], body)
}

/// Sends a request, as another client would that is not checked.
pub fn send(port: u16, service: &str, method: Method, path: &str, more: &[Option<(&str, &str)>], body: &str) -> String {
    let deadline = SystemClock.now() + Duration::from_secs(30);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=a/20150830/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let mut headers = vec![("authorization", &*authorization), ("x-amz-date", "20150830T123600Z")];
    headers.extend(more.iter().flatten());
    let request = Request {
        method,
        scheme: Scheme::Http,
        authority: &format!("127.0.0.1:{port}"),
        path,
        headers: &headers,
        body: body.as_bytes(),
        connect_deadline: deadline,
        max_answer: 1 << 20,
    };
    let response = StdHttp::default().exchange(&request, deadline).expect("the emulator answers");
    let text = String::from_utf8_lossy(&response.body).into_owned();
    assert_eq!(response.status, 200, "{path}: {text}");
    text
}
