//! Answers every request with the next number of one counter. Under `wasmtime serve` each request is a fresh instance.

wit_bindgen::generate!({ path: "../../wit/draft", world: "wasi:keyvalue/imports@0.2.0-draft" });

use std::io::Write as _;
use wasi::keyvalue::{atomics, store};
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

wasip2::http::proxy::export!(Counter);

struct Counter;

impl wasip2::exports::http::incoming_handler::Guest for Counter {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let counted = store::open("").and_then(|bucket| atomics::increment(&bucket, "requests", 1));
        let answer = counted.map_or_else(|error| format!("{error:?}"), |number| number.to_string());
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("a fresh response has a body");
        ResponseOutparam::set(out, Ok(response));
        let mut stream = body.write().expect("a fresh body has a stream");
        stream.write_all(answer.as_bytes()).expect("the answer is written");
        drop(stream);
        OutgoingBody::finish(body, None).expect("the answer is whole");
    }
}
