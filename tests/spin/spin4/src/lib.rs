//! Keys and values over HTTP, as an application for Spin 4: `PUT`, `GET` and `DELETE` of `/KEY`, and `GET` of `/` lists.

use bytes::Bytes;
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{FullBody, IntoResponse, Method, Request, StatusCode};
use spin_sdk::http_service;
use spin_sdk::key_value::{Error, Store};

#[http_service]
async fn shelf(request: Request) -> impl IntoResponse {
    let failed = |error: Error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string().into_bytes());
    let (status, body) = answer(request).await.unwrap_or_else(failed);
    (status, FullBody::new(Bytes::from(body)))
}

async fn answer(request: Request) -> Result<(StatusCode, Vec<u8>), Error> {
    let store = Store::open_default().await?;
    let key = request.uri().path().trim_start_matches('/').to_string();
    Ok(match *request.method() {
        Method::GET if key.is_empty() => {
            let mut keys = store.get_keys().await.collect().await?;
            keys.sort();
            (StatusCode::OK, keys.join("\n").into_bytes())
        }
        Method::GET => match store.get(key).await? {
            Some(value) => (StatusCode::OK, value),
            None => (StatusCode::NOT_FOUND, b"there is no such key".to_vec()),
        },
        Method::PUT => {
            let Ok(value) = request.into_body().bytes().await else {
                return Ok((StatusCode::BAD_REQUEST, Vec::new()));
            };
            let known = store.exists(&key).await?;
            store.set(&key, value).await?;
            (if known { StatusCode::OK } else { StatusCode::CREATED }, Vec::new())
        }
        Method::DELETE => {
            store.delete(key).await?;
            (StatusCode::NO_CONTENT, Vec::new())
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, Vec::new()),
    })
}
