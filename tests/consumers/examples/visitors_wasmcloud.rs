//! The handler of `visitors` for wasmCloud 2: each request adds one to a counter in `wasmcloud:keyvalue@0.2.0` and gets the sum.

wit_bindgen::generate!({ path: "../../wit/wasmcloud_0_2", world: "wasmcloud:keyvalue/imports@0.2.0" });

use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_future, wit_stream};
use wasmcloud::keyvalue::types::Error;
use wasmcloud::keyvalue::{atomics, store};

struct Visitors;
wasip3::http::service::export!(Visitors);

async fn count() -> Result<i64, Error> {
    let bucket = store::open("visits".into()).await?;
    atomics::increment(&bucket, "visitors".into(), 1).await
}

impl wasip3::exports::http::handler::Guest for Visitors {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        let (status, text) = match count().await {
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
