//! An HTTP handler behind a server, with instances that answer as many requests as `wasmtime serve` would let them.

use super::{Grants, Host, Options, not_run, reasons};
use crate::refusal::{Refusal, Result};
use crate::subject::Subject;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use wasmtime::component::{GuestTaskId, InstancePre};
use wasmtime::{Store, StoreContextMut};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyHandler, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{WasiBody, WasiHttpView, p2, p3};

/// The requests that one instance answers by default: as many as under `wasmtime serve`. A handler of WASI 0.2 may
/// rely on fresh memory.
const REUSE_SECOND: u32 = 1;
const REUSE_THIRD: u32 = 128;

/// The requests that one instance of a handler of WASI 0.3 answers at a time. One of 0.2 can only do one.
const AT_ONCE_THIRD: usize = 16;

/// How long an instance without requests is kept.
const IDLE: Duration = Duration::from_secs(1);

/// The pause after a connection could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(20);

pub(super) async fn serve(
    subject: &Subject,
    ready: InstancePre<Host>,
    grants: Grants,
    options: &Options,
) -> Result<ExitCode> {
    let third = p3::bindings::ServicePre::new(ready.clone());
    let (handler, reuse, at_once) = match third {
        Ok(handler) => (ProxyPre::P3(handler), REUSE_THIRD, AT_ONCE_THIRD),
        Err(_) => {
            let handler = p2::bindings::ProxyPre::new(ready).map_err(|e| {
                not_run(subject, "this component cannot be served").note(reasons(&e)).help(
                    "kvfuse run serves handlers of wasi:http 0.2 and 0.3; kvfuse inspect prints a line for wasmtime itself",
                )
            })?;
            (ProxyPre::P2(handler), REUSE_SECOND, 1)
        }
    };
    // A grant that fails is an error now, not at the first request.
    drop(grants.host(&subject.path)?);
    let in_use = |e: std::io::Error| {
        Refusal::new(options.address, format!("cannot listen: {}", crate::input::reason(&e)))
            .help(match options.front {
                Some(_) => "--port names another port; without it, any free one is taken",
                None => "--addr names another address, such as 127.0.0.1:0 for any free port",
            })
            .with_code(crate::refusal::code::NOT_RUN)
    };
    let listener = TcpListener::bind(options.address).await.map_err(in_use)?;
    let address = listener.local_addr().map_err(in_use)?;
    match &options.front {
        Some(front) => front.listening(address),
        None => eprintln!("serving {} on http://{address}/", subject.path.display()),
    }
    let reuse = options.reuse.unwrap_or(reuse) as usize;
    let limits = Limits { reuse, at_once, path: subject.path.clone() };
    let server = ProxyHandler::new(Server { handler, grants, limits });
    let mut connections = Connections { listener, failing: false };
    loop {
        let connection = connections.next().await;
        let (server, front) = (server.clone(), options.front.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let (server, front) = (server.clone(), front.clone());
                async move {
                    let passed = match front {
                        Some(front) => front.pass(request, address).await,
                        None => Ok(request),
                    };
                    Ok::<_, std::convert::Infallible>(match passed {
                        Ok(request) => answer(&server, request).await,
                        Err(response) => response,
                    })
                }
            });
            // A client that hangs up is not an error.
            drop(http1::Builder::new().serve_connection(TokioIo::new(connection), service).await);
        });
    }
}

/// Accepts connections; a test uses one that fails.
trait Accept {
    type Connection;

    async fn accept(&mut self) -> std::io::Result<Self::Connection>;

    /// Waits before the next attempt.
    async fn pause(&mut self);
}

impl Accept for TcpListener {
    type Connection = TcpStream;

    async fn accept(&mut self) -> std::io::Result<TcpStream> {
        let (connection, _) = TcpListener::accept(self).await?;
        // Small parts of a body are not held back.
        drop(connection.set_nodelay(true));
        Ok(connection)
    }

    async fn pause(&mut self) {
        tokio::time::sleep(ACCEPT_AGAIN).await;
    }
}

struct Connections<L> {
    listener: L,
    /// Whether the last attempt failed, and the user has been informed.
    failing: bool,
}

impl<L: Accept> Connections<L> {
    /// The next connection. If none can be accepted, for example without descriptors, it pauses after every attempt.
    async fn next(&mut self) -> L::Connection {
        loop {
            match self.listener.accept().await {
                Ok(connection) => {
                    self.failing = false;
                    return connection;
                }
                // A client that hung up early is not an error, and the next one can be accepted at once.
                Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
                Err(e) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        eprintln!("error: no connection can be accepted at the moment: {}", crate::input::reason(&e));
                    }
                    self.listener.pause().await;
                }
            }
        }
    }
}

async fn answer(server: &ProxyHandler<Server>, request: Request<Incoming>) -> Response<WasiBody> {
    let request = request.map(|body| body.map_err(wasmtime_wasi_http::Error::from).boxed_unsync());
    match server.handle((), request).await {
        Ok(response) => response,
        Err(e) => {
            server.state().limits.tell("a request failed", &e);
            let text = Full::new(Bytes::from_static(b"the component failed\n"));
            let mut response = Response::new(text.map_err(|never| match never {}).boxed_unsync());
            *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

struct Server {
    handler: ProxyPre<Host>,
    grants: Grants,
    limits: Limits,
}

#[derive(Clone)]
struct Limits {
    /// The requests that an instance answers.
    reuse: usize,
    /// How many of them at a time.
    at_once: usize,
    /// The component, for messages.
    path: PathBuf,
}

impl Limits {
    fn tell(&self, what: &str, e: &wasmtime::Error) {
        eprintln!("error: {what}\n  --> {}\n   = note: {}", self.path.display(), reasons(e));
    }
}

impl HandlerState for Server {
    type StoreData = Host;
    type WorkerExpiration = Idle;
    type WorkerState = Limits;

    async fn instantiate(&self) -> wasmtime::Result<Instance<Host, Idle, Limits>> {
        let host = self.grants.host(&self.limits.path).map_err(|e| wasmtime::Error::msg(e.to_string()))?;
        let engine = match &self.handler {
            ProxyPre::P2(handler) => handler.engine(),
            ProxyPre::P3(handler) => handler.engine(),
        };
        let mut store = Store::new(engine, host);
        let proxy = self.handler.instantiate_async(&mut store).await?;
        let expiration = Idle(Box::pin(tokio::time::sleep(IDLE)));
        Ok(Instance { store, proxy, view: Host::http, expiration, state: self.limits.clone() })
    }
}

/// Ends an instance that had no request for a while. A busy one is never ended.
struct Idle(Pin<Box<Sleep>>);

impl WorkerExpiration for Idle {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, status: WorkerStatus, since: Instant) -> Poll<()> {
        if status != WorkerStatus::Idle {
            return Poll::Pending;
        }
        let end = tokio::time::Instant::from_std(since) + IDLE;
        if self.0.deadline() != end {
            self.0.as_mut().reset(end);
        }
        self.0.as_mut().poll(cx)
    }
}

impl WorkerState for Limits {
    type StoreData = Host;
    type RequestData = ();

    fn should_accept_request(&self, at_once: usize, so_far: usize) -> ShouldAccept {
        match () {
            () if so_far >= self.reuse => ShouldAccept::Never,
            () if at_once >= self.at_once => ShouldAccept::No,
            () => ShouldAccept::Yes,
        }
    }

    /// When a request has taken too long: never.
    fn on_request_start(
        &self,
        _: StoreContextMut<'_, Host>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        Box::pin(std::future::pending())
    }

    fn drop(&self, store: Store<Host>, ended: wasmtime::Result<()>) {
        if let Err(e) = ended {
            self.tell("the component trapped", &e);
        }
        drop(store);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "test code")]
mod tests {
    use super::*;

    /// Fails this often before there is a connection, and counts.
    #[derive(Default)]
    struct Failing {
        failures: Vec<ErrorKind>,
        accepted: usize,
        paused: usize,
    }

    impl Accept for Failing {
        type Connection = ();

        async fn accept(&mut self) -> std::io::Result<()> {
            self.accepted += 1;
            self.failures.pop().map_or(Ok(()), |kind| Err(kind.into()))
        }

        async fn pause(&mut self) {
            self.paused += 1;
        }
    }

    #[tokio::test]
    async fn it_pauses_after_every_connection_that_cannot_be_accepted() {
        let listener = Failing { failures: vec![ErrorKind::Other; 5], ..Failing::default() };
        let mut connections = Connections { listener, failing: false };
        connections.next().await;
        assert_eq!((connections.listener.accepted, connections.listener.paused), (6, 5));
        assert!(!connections.failing);
    }

    #[tokio::test]
    async fn a_client_that_hung_up_holds_up_nobody() {
        let failures = vec![ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset];
        let mut connections = Connections { listener: Failing { failures, ..Failing::default() }, failing: false };
        connections.next().await;
        assert_eq!((connections.listener.accepted, connections.listener.paused), (3, 0));
    }
}
