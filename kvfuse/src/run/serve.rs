//! An HTTP handler behind a server: each request has an instance of its own, as `wasmtime serve` does it.

use super::{Grants, Host, not_run, reasons};
use crate::refusal::{Refusal, Result};
use crate::subject::Subject;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::InstancePre;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;

/// The pause after a connection could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(20);

type Body = UnsyncBoxBody<Bytes, wasmtime_wasi_http::Error>;

struct Server {
    handler: ProxyPre<Host>,
    grants: Grants,
    path: PathBuf,
}

pub(super) async fn serve(
    subject: &Subject,
    ready: InstancePre<Host>,
    grants: Grants,
    address: SocketAddr,
) -> Result<ExitCode> {
    let handler = ProxyPre::new(ready).map_err(|e| {
        not_run(subject, "this component cannot be served")
            .note(reasons(&e))
            .help("kvfuse run serves handlers of wasi:http 0.2; kvfuse inspect prints a line for wasmtime itself")
    })?;
    // What cannot be granted is an error now, not at the first request.
    drop(grants.host(&subject.path)?);
    let in_use = |e: std::io::Error| {
        Refusal::new(address, format!("cannot listen: {}", crate::input::reason(&e)))
            .help("--addr names another address, such as 127.0.0.1:0 for any free port")
            .with_code(crate::refusal::code::NOT_RUN)
    };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(in_use)?;
    let address = listener.local_addr().map_err(in_use)?;
    eprintln!("serving {} on http://{address}/", subject.path.display());
    let server = Arc::new(Server { handler, grants, path: subject.path.clone() });
    loop {
        let connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            // A client that hung up early is not an error. Too many open files may be, and take a moment to pass.
            Err(_) => {
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let server = server.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let server = server.clone();
                async move { Ok::<_, std::convert::Infallible>(server.answer(request).await) }
            });
            // A client that hangs up is not an error.
            drop(http1::Builder::new().serve_connection(TokioIo::new(connection), service).await);
        });
    }
}

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match self.handle(request).await {
            Ok(response) => response,
            Err(reason) => {
                eprintln!("error: a request failed\n  --> {}\n   = note: {reason}", self.path.display());
                let text = Full::new(Bytes::from_static(b"the component failed\n"));
                let mut response = Response::new(text.map_err(|never| match never {}).boxed_unsync());
                *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }

    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Body>, String> {
        let host = self.grants.host(&self.path).map_err(|e| e.to_string())?;
        let mut store = Store::new(self.handler.engine(), host);
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(Scheme::Http, request).map_err(|e| reasons(&e))?;
        let out = http.new_response_outparam(sender).map_err(|e| reasons(&e))?;
        let handler = self.handler.clone();
        // The instance goes on after the head of the response is out: the body is still being written.
        let task = tokio::spawn(async move {
            let proxy = handler.instantiate_async(&mut store).await?;
            proxy.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
        });
        match receiver.await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(code)) => Err(format!("the component answered with an error: {code:?}")),
            Err(_) => Err(match task.await {
                Ok(Ok(())) => "the component gave no response".into(),
                Ok(Err(e)) => reasons(&e),
                Err(e) => e.to_string(),
            }),
        }
    }
}
