//! Entity group transactions: several writes in one request, all of which happen or none. No I/O.
//!
//! Source: <https://learn.microsoft.com/en-us/rest/api/storageservices/performing-entity-group-transactions>. A request is
//! `multipart/mixed` with one change set, and so is its answer, with one HTTP response for each write, or only one for the write
//! that was refused.
#![deny(clippy::arithmetic_side_effects)]

/// The separator of the parts. It cannot occur in them: in JSON, and in the names of entities, there is no line that begins
/// with dashes.
const BATCH: &str = "batch_kvfuse";
const CHANGES: &str = "changeset_kvfuse";
/// The content type of a request.
pub const CONTENT_TYPE: &str = "multipart/mixed; boundary=batch_kvfuse";

/// A request, and how many writes are in it.
pub struct Changes {
    body: String,
    pub count: usize,
}

impl Changes {
    pub fn new() -> Self {
        let body = format!("--{BATCH}\r\nContent-Type: multipart/mixed; boundary={CHANGES}\r\n\r\n");
        Self { body, count: 0 }
    }

    /// Inserts or replaces an entity at a URL.
    pub fn put(&mut self, url: &str, json: &str) {
        self.begin("PUT", url);
        self.body.push_str("Content-Type: application/json\r\n\r\n");
        self.body.push_str(json);
        self.body.push_str("\r\n");
    }

    /// Deletes an entity at a URL, which has to exist.
    pub fn delete(&mut self, url: &str) {
        self.begin("DELETE", url);
        self.body.push_str("If-Match: *\r\n\r\n\r\n");
    }

    fn begin(&mut self, method: &str, url: &str) {
        self.count = self.count.saturating_add(1);
        for text in [
            "--",
            CHANGES,
            "\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n",
            method,
            " ",
            url,
        ] {
            self.body.push_str(text);
        }
        self.body.push_str(" HTTP/1.1\r\nAccept: application/json;odata=nometadata\r\nDataServiceVersion: 3.0;\r\n");
    }

    /// How long the request would be with a write of `json` at a URL, with some reserve.
    pub fn length_with(&self, url: &str, json: &str) -> usize {
        [self.body.len(), url.len(), json.len(), 512].into_iter().fold(0, usize::saturating_add)
    }

    pub fn finish(mut self) -> String {
        for end in ["--", CHANGES, "--\r\n--", BATCH, "--\r\n"] {
            self.body.push_str(end);
        }
        self.body
    }
}

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// All writes happened.
    Done,
    /// None happened, because of this answer to one of them.
    Refused(u16, &'a [u8]),
}

/// The outcome of so many writes; `None` if the answer is not one to them.
pub fn outcome(answer: &[u8], count: usize) -> Option<Outcome<'_>> {
    let mut rest = answer;
    let mut done: usize = 0;
    while let Some(at) = find(rest, b"HTTP/1.1 ") {
        rest = rest.get(at.checked_add(9)?..)?;
        let status: u16 = std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()?;
        if !(200..300).contains(&status) {
            // Its body ends with the part.
            let body = rest.get(find(rest, b"\r\n\r\n")?.checked_add(4)?..)?;
            let end = find(body, b"\r\n--").or_else(|| find(body, b"\n--")).unwrap_or(body.len());
            return Some(Outcome::Refused(status, body.get(..end)?));
        }
        done = done.saturating_add(1);
    }
    (done == count).then_some(Outcome::Done)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_documented() {
        let mut changes = Changes::new();
        let before = changes.length_with("http://h/t(1)", "{}");
        changes.put("http://h/t(1)", "{}");
        changes.delete("http://h/t(2)");
        assert_eq!(changes.count, 2);
        let body = changes.finish();
        assert!(body.len() < before + 512, "{}", body.len());
        let expected = "--batch_kvfuse\nContent-Type: multipart/mixed; boundary=changeset_kvfuse\n\n\
            --changeset_kvfuse\nContent-Type: application/http\nContent-Transfer-Encoding: binary\n\n\
            PUT http://h/t(1) HTTP/1.1\nAccept: application/json;odata=nometadata\nDataServiceVersion: 3.0;\n\
            Content-Type: application/json\n\n{}\n\
            --changeset_kvfuse\nContent-Type: application/http\nContent-Transfer-Encoding: binary\n\n\
            DELETE http://h/t(2) HTTP/1.1\nAccept: application/json;odata=nometadata\nDataServiceVersion: 3.0;\n\
            If-Match: *\n\n\n--changeset_kvfuse--\n--batch_kvfuse--\n";
        assert_eq!(body, expected.replace('\n', "\r\n"));
    }

    /// The answers of the documentation.
    #[test]
    fn an_answer_says_that_all_happened_or_which_one_was_refused() {
        let part = |status: &str, body: &str| {
            format!(
                "--changesetresponse_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
                 HTTP/1.1 {status}\r\nDataServiceVersion: 3.0;\r\n\r\n{body}\r\n"
            )
        };
        let answer = |parts: &str| {
            format!(
                "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\r\n{parts}\
                 --changesetresponse_1--\r\n--batchresponse_1--\r\n"
            )
        };
        let done = answer(&[part("204 No Content", ""), part("204 No Content", "")].concat());
        assert_eq!(outcome(done.as_bytes(), 2), Some(Outcome::Done));
        for count in [0, 1, 3] {
            assert_eq!(outcome(done.as_bytes(), count), None);
        }
        let refused = answer(&part("404 Not Found", r#"{"odata.error":{}}"#));
        assert_eq!(outcome(refused.as_bytes(), 2), Some(Outcome::Refused(404, br#"{"odata.error":{}}"#)));
        for cut in 0..refused.find("404").unwrap() {
            assert_eq!(outcome(&refused.as_bytes()[..cut], 2), None);
        }
        for other in ["", "HTTP/1.1 ", "HTTP/1.1 xyz", "HTTP/1.1 404 Not Found", "<html>"] {
            assert_eq!(outcome(other.as_bytes(), 1), None, "{other}");
        }
    }
}
