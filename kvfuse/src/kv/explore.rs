//! `kvfuse explore`: the explorer component, fused with a store and served, and beside it what only this program knows of
//! the store's files.

use super::changes;
use super::place::Place;
use crate::catalogue;
use crate::choice::{Choice, Stores};
use crate::cli::data::Explore;
use crate::commands::{fuse, print, stat};
use crate::form::Wanted;
use crate::needs::Needs;
use crate::plan::Plan;
use crate::refusal::{Refusal, Result, code};
use crate::run::{Flags, Grants, Options, start};
use crate::subject::Subject;
use crate::summary::Summary;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN};
use hyper::{Method, Request, Response, StatusCode};
use kvfuse_compose::Memories;
use kvfuse_explorer::guard::{Guard, Refused, Sent, TOKEN};
use kvfuse_explorer::{message, page};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use wasmtime_wasi_http::WasiBody;

/// How many requests an instance answers. It keeps nothing of one for the next, and the store's connection stays open.
const REUSE: u32 = 128;

/// The longest request that is answered here, in bytes.
const LONGEST: usize = 4096;

pub async fn explore(options: &Explore) -> Result<ExitCode> {
    let place = Place::parse("--store", &options.at.store, Path::new("data"), &options.at.env)?;
    let subject = Subject::new(Path::new(catalogue::EXPLORER), catalogue::explorer().to_vec())?;
    let only = Stores { default: place.store, labels: Vec::new(), buckets: Vec::new() };
    let plan = Plan::new(&subject, &Choice::Stores(only))?;
    let (fused, _) = plan.fuse(&subject, Wanted::Flat(Memories::Two))?;
    if let Some(output) = &options.output {
        return write(output, fused);
    }
    place.must_exist()?;

    let token = token()?;
    let mut env = place.env.clone();
    env.push(format!("{TOKEN}={token}"));
    let needs = Needs::of(&subject, Some(&plan.provider), &plan.imports_after(&subject));
    let flags = Flags { arguments: &[], env: &env, net: &[], dir: &[], data: &place.data, alone: false };
    // 125 is a code of `kvfuse run`.
    let failed = |refusal: Box<Refusal>| Box::new(refusal.with_code(code::REFUSED));
    let grants = Grants::with(&flags, Some(&plan.provider), &needs).map_err(failed)?;
    let how = Options {
        address: (Ipv4Addr::LOCALHOST, options.port).into(),
        keep: true,
        concurrent: true,
        reuse: Some(REUSE),
        call: None,
        again: false,
        front: Some(Front { token: token.into(), place: Arc::new(place) }),
    };
    start(&subject, &fused, grants, &how).await.map_err(failed)
}

fn write(output: &Path, fused: Vec<u8>) -> Result<ExitCode> {
    fuse::write(output, &fused)?;
    let result = Subject::new(output, fused)?;
    let mut text = Summary::plain(&result).text().unwrap_or_default();
    text.push_str(&format!(
        "\nIt answers nobody without a token. Set {TOKEN} to 16 or more random letters and digits, pass it on with\n\
         --env {TOKEN}, and open http://127.0.0.1:8080/, the token, and a slash.\n"
    ));
    print(&text)
}

/// 128 random bits, in hexadecimal.
fn token() -> Result<String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|e| {
        Box::new(Refusal::new("", "the system gives no random numbers for a token").note(e.to_string()))
    })?;
    Ok(bits.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What stands before the component: it checks every request in the same way as the component does, and answers what the
/// component cannot know.
#[derive(Clone)]
pub struct Front {
    token: Arc<str>,
    place: Arc<Place>,
}

impl Front {
    pub fn listening(&self, address: SocketAddr) {
        eprintln!("exploring {} on http://{address}/{}/", self.place.title, self.token);
        eprintln!("anyone with this address can change the store; Ctrl+C ends it");
    }

    /// Passes a request on to the component, or answers it.
    pub async fn pass(
        &self,
        request: Request<Incoming>,
        address: SocketAddr,
    ) -> std::result::Result<Request<Incoming>, Response<WasiBody>> {
        let name = match self.admit(&request, address) {
            Ok(name) => name.to_string(),
            Err(refused) => {
                let text = format!("{refused}\n").into_bytes();
                return Err(response(StatusCode::FORBIDDEN, "text/plain; charset=utf-8", text));
            }
        };
        let files = self.place.keeps_files();
        let answer = match name.as_str() {
            _ if request.method() != Method::POST => return Ok(request),
            "api/about" => self.about(),
            "api/buckets" if files => self.apart(|place| buckets(&place)).await,
            "api/stat" if files => match read::<message::Stat>(request).await {
                Ok(asked) => self.apart(move |place| survey(&place, asked.verify)).await,
                Err(answer) => answer,
            },
            "api/changes" => match read::<message::Watch>(request).await {
                Ok(asked) => changes::begin(&self.place, &asked.bucket).await,
                Err(answer) => answer,
            },
            _ => return Ok(request),
        };
        Err(answer)
    }

    fn admit<'a>(&self, request: &'a Request<Incoming>, address: SocketAddr) -> std::result::Result<&'a str, Refused> {
        let port = address.port();
        let guard = Guard::new(&self.token, &format!("{address},localhost:{port}"))?;
        // A value that is not text is not ours.
        let header = |name: HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
        let host = request.uri().authority().map(|authority| authority.as_str()).or_else(|| header(HOST));
        let site = header(HeaderName::from_static("sec-fetch-site"));
        guard.admit(request.uri().path(), &Sent { host, origin: header(ORIGIN), site })
    }

    fn about(&self) -> Response<WasiBody> {
        let files = self.place.keeps_files();
        done(&message::About { store: Some(self.place.title.clone()), buckets: files, stat: files, watch: true })
    }

    /// Reads files on a thread where that holds up nobody.
    async fn apart(
        &self,
        work: impl FnOnce(Arc<Place>) -> Result<Response<WasiBody>> + Send + 'static,
    ) -> Response<WasiBody> {
        let place = self.place.clone();
        match tokio::task::spawn_blocking(move || work(place)).await {
            Ok(Ok(response)) => response,
            Ok(Err(refusal)) => problem(StatusCode::BAD_GATEWAY, refusal.to_string()),
            Err(e) => problem(StatusCode::INTERNAL_SERVER_ERROR, format!("the files were not read to the end: {e}")),
        }
    }
}

/// What a request asks.
async fn read<T: serde::de::DeserializeOwned>(
    request: Request<Incoming>,
) -> std::result::Result<T, Response<WasiBody>> {
    let body = Limited::new(request.into_body(), LONGEST).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    message::read(&body)
        .map(|(asked, _)| asked)
        .map_err(|what| problem(StatusCode::BAD_REQUEST, format!("the request is malformed: {what}")))
}

fn buckets(place: &Place) -> Result<Response<WasiBody>> {
    let names = place.directories("explore")?.into_iter().filter_map(|(_, name)| name);
    let mut buckets: Vec<_> = names.collect();
    buckets.sort();
    Ok(done(&message::Buckets { buckets }))
}

fn survey(place: &Place, verify: bool) -> Result<Response<WasiBody>> {
    Ok(done(&stat::report(&place.directory(), verify)?))
}

fn done(answer: &impl serde::Serialize) -> Response<WasiBody> {
    response(StatusCode::OK, "application/octet-stream", message::write(answer, b""))
}

pub(super) fn problem(status: StatusCode, error: String) -> Response<WasiBody> {
    response(status, "application/octet-stream", message::write(&message::Problem { error }, b""))
}

/// An answer whose body is yet to come.
pub(super) fn streamed(body: impl Body<Data = Bytes, Error = Infallible> + Send + 'static) -> Response<WasiBody> {
    with(StatusCode::OK, "application/octet-stream", body)
}

fn response(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<WasiBody> {
    with(status, kind, Full::new(Bytes::from(body)))
}

fn with(
    status: StatusCode,
    kind: &'static str,
    body: impl Body<Data = Bytes, Error = Infallible> + Send + 'static,
) -> Response<WasiBody> {
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in page::HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
