//! Signatures of requests: Shared Key for the Table service. No I/O.
//!
//! Source: <https://learn.microsoft.com/en-us/rest/api/storageservices/authorize-with-shared-key>. The MD5 of the content may be
//! left out, and is. None of the requests of this store has the parameter `comp`, which would be signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kvfuse_http::keyed::keyed;

/// What is signed of a request.
pub struct Signed<'a> {
    pub method: &'a str,
    /// Empty if there is no content.
    pub content_type: &'a str,
    /// The header `x-ms-date`.
    pub date: &'a str,
    pub account: &'a str,
    /// As it is sent, without the query.
    pub path: &'a str,
}

/// The value of the header `authorization`; `None` if the key cannot sign.
pub fn authorization(signed: &Signed<'_>, key: &[u8]) -> Option<String> {
    let Signed { method, content_type, date, account, path } = signed;
    let text = format!("{method}\n\n{content_type}\n{date}\n/{account}{path}");
    Some(format!("SharedKey {account}:{}", STANDARD.encode(keyed(key, &text).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with another implementation of HMAC, from the text that the documentation gives as its example of a signed
    /// request.
    #[test]
    fn a_signature_is_the_hmac_of_the_documented_text() {
        let signed = Signed {
            method: "GET",
            content_type: "application/json",
            date: "Mon, 27 Jul 2009 12:28:53 GMT",
            account: "testaccount1",
            path: "/Tables",
        };
        let key =
            STANDARD.decode("Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==");
        assert_eq!(
            authorization(&signed, &key.unwrap()).as_deref(),
            Some("SharedKey testaccount1:1aeducuPRwrqIi5Kef7yJqGnvucWaqXHc5HVPEfhAho=")
        );
    }
}
