//! The handler of `visitors`, built for WASI 0.3: each request adds one to a counter and gets the sum.

wit_bindgen::generate!({ path: "../../wit/draft2", world: "wasi:keyvalue/imports@0.2.0-draft2" });

use wasi::keyvalue::{atomics, store};
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_future, wit_stream};

struct Visitors;
wasip3::http::service::export!(Visitors);

impl wasip3::exports::http::handler::Guest for Visitors {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        let sum = store::open("visits").and_then(|bucket| atomics::increment(&bucket, "visitors", 1));
        let (status, text) = match sum {
            Ok(sum) => (200, sum.to_string()),
            Err(error) => (500, format!("{error:?}")),
        };
        let (mut body, reader) = wit_stream::new();
        let (trailers, no_trailers) = wit_future::new(|| Ok(None));
        drop(trailers);
        let (response, _sent) = Response::new(Fields::new(), Some(reader), no_trailers);
        let _ = response.set_status_code(status);
        // The client may disconnect at any point, which is not an error.
        wasip3::spawn_local(async move { drop(body.write_all(text.into_bytes()).await) });
        Ok(response)
    }
}
