//! The handler of `visitors` for Spin 4, whose interface has no counters: each request sets a key that no other has in
//! `spin:key-value@3.0.0`, and gets the number of keys that the stream of all of them gives.

// The bindings have streams of their own.
mod bindings {
    wit_bindgen::generate!({ path: "../../wit/spin3", world: "spin:key-value/imports@3.0.0" });
}

use bindings::spin::key_value::key_value::{Error, Store};
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_future, wit_stream};

struct Visitors;
wasip3::http::service::export!(Visitors);

async fn count() -> Result<usize, Error> {
    let store = Store::open("default".into()).await?;
    let visitor = wasip3::random::random::get_random_u64();
    store.set(format!("visitor {visitor:x}"), Vec::new()).await?;
    let (mut keys, ended) = store.get_keys().await;
    let mut count = 0;
    while keys.next().await.is_some() {
        count += 1;
    }
    ended.await?;
    Ok(count)
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
