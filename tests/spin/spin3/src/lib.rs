//! Keys and values over HTTP, as an application for Spin 2 and 3: `PUT`, `GET` and `DELETE` of `/KEY`, and `GET` of `/` lists.

use spin_sdk::http::{Method, Request, Response};
use spin_sdk::http_component;
use spin_sdk::key_value::{Error, Store};

#[http_component]
fn shelf(request: Request) -> Response {
    answer(&request).unwrap_or_else(|error| Response::new(500, error.to_string()))
}

fn answer(request: &Request) -> Result<Response, Error> {
    let store = Store::open_default()?;
    let key = request.path().trim_start_matches('/');
    Ok(match request.method() {
        Method::Get if key.is_empty() => {
            let mut keys = store.get_keys()?;
            keys.sort();
            Response::new(200, keys.join("\n"))
        }
        Method::Get => match store.get(key)? {
            Some(value) => Response::new(200, value),
            None => Response::new(404, "there is no such key"),
        },
        Method::Put => {
            let known = store.exists(key)?;
            store.set(key, request.body())?;
            Response::new(if known { 200 } else { 201 }, ())
        }
        Method::Delete => {
            store.delete(key)?;
            Response::new(204, ())
        }
        _ => Response::new(405, ()),
    })
}
