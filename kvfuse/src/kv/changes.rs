//! `api/changes` of `kvfuse explore`: the page learns what changes from a watch of its own, for as long as it listens.

use super::explore::{problem, streamed};
use super::extras::{Change, Changes, Failure, Start};
use super::place::Place;
use super::session::{Missing, Session};
use crate::run::reasons;
use hyper::body::{Body, Bytes, Frame};
use hyper::{Response, StatusCode};
use kvfuse_explorer::message::{self, Changed};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use wasmtime::component::ResourceAny;
use wasmtime_wasi_http::WasiBody;

/// How long the provider waits for a change before it is asked again, in milliseconds.
const PATIENCE: u32 = 60_000;

/// Begins to watch. Nothing is read ahead of the page by more than two answers of the watch.
pub async fn begin(place: &Place, bucket: &str) -> Response<WasiBody> {
    let mut session = match Session::open(place, bucket, Missing::Refuse).await {
        Ok(session) => session,
        Err(refusal) => return problem(StatusCode::BAD_GATEWAY, refusal.to_string()),
    };
    let watcher = match session.watch("", &Start::Now).await {
        Ok(Ok(watcher)) => watcher,
        Ok(Err(Failure::Refused(text))) => return problem(StatusCode::NOT_IMPLEMENTED, text),
        Ok(Err(Failure::Unavailable(text))) => return problem(StatusCode::BAD_GATEWAY, text),
        Err(e) => return problem(StatusCode::BAD_GATEWAY, reasons(&e)),
    };
    let (send, lines) = channel(1);
    let bucket = bucket.to_string();
    tokio::spawn(async move {
        tokio::select! {
            ended = tell(session, watcher, &send) => {
                if let Err(why) = ended {
                    eprintln!("warning: the changes of the bucket {bucket:?} are not told to the page any more: {why}");
                }
            }
            // The page has left.
            () = send.closed() => {}
        }
    });
    streamed(Lines(lines))
}

async fn tell(mut session: Session, watcher: ResourceAny, send: &Sender<Bytes>) -> Result<(), String> {
    // What changed before the watch began is for the page to find out.
    let mut changed = Changed { all: true, ..Changed::default() };
    loop {
        if send.send(message::write(&changed, b"").into()).await.is_err() {
            return Ok(());
        }
        changed = loop {
            match session.changes(watcher, PATIENCE).await {
                Ok(Ok(Changes { changes, missed: None, .. })) if changes.is_empty() => {}
                Ok(Ok(changes)) => break named(changes),
                // The page asks again, and gets the answer then.
                Ok(Err(Failure::Refused(text) | Failure::Unavailable(text))) => return Err(text),
                Err(e) => return Err(reasons(&e)),
            }
        };
    }
}

fn named(changes: Changes) -> Changed {
    let mut changed = Changed { all: changes.missed.is_some(), ..Changed::default() };
    for change in changes.changes {
        match change {
            Change::Set((key, _)) => changed.set.push(key),
            Change::Delete(key) => changed.deleted.push(key),
        }
    }
    changed
}

/// A body that is not complete yet.
pub struct Lines(Receiver<Bytes>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
