//! An HTTP handler that counts its visitors: each request adds one to a counter and gets the sum. The path names the bucket,
//! which is `visits` if it names none.

wit_bindgen::generate!({ path: "../../wit/draft2", world: "wasi:keyvalue/imports@0.2.0-draft2" });

use wasi::keyvalue::{atomics, store};
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct Visitors;
wasip2::http::proxy::export!(Visitors);

impl wasip2::exports::http::incoming_handler::Guest for Visitors {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let name = match path.trim_start_matches('/') {
            "" => "visits",
            name => name,
        };
        let sum = store::open(name).and_then(|bucket| atomics::increment(&bucket, "visitors", 1));
        let (status, text) = match sum {
            Ok(sum) => (200, sum.to_string()),
            Err(error) => (500, format!("{error:?}")),
        };
        // The client may disconnect at any point, which is not an error.
        let _ = respond(out, status, &text);
    }
}

fn respond(out: ResponseOutparam, status: u16, text: &str) -> Option<()> {
    let response = OutgoingResponse::new(Fields::new());
    response.set_status_code(status).ok()?;
    let body = response.body().ok()?;
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().ok()?;
    stream.blocking_write_and_flush(text.as_bytes()).ok()?;
    drop(stream);
    OutgoingBody::finish(body, None).ok()
}
