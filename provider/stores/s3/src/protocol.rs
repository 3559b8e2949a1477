//! The answers of S3 as XML, and the request that deletes many objects. No I/O.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>.
//!
//! An answer is no larger than its call accepts, and what is kept of it is no larger than the answer. Lists have a bound as well,
//! which no answer to these requests reaches.
#![deny(clippy::arithmetic_side_effects)]

use kvfuse_core::limits::PAGE_KEYS;
use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;

/// Deeper than any answer.
const MOST_DEPTH: usize = 16;

/// An error answer, or what it says of one object of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Empty if the answer is none of the service.
    pub code: String,
    pub message: String,
    /// Of a bucket that is elsewhere.
    pub region: String,
}

/// An answer to a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listed {
    pub names: Vec<String>,
    /// Whether that is not all.
    pub more: bool,
}

/// Calls `of` with the path and the text of every element that has no others inside, or returns `None` for what is not XML.
fn elements(answer: &[u8], mut of: impl FnMut(&[&str], &str) -> Option<()>) -> Option<()> {
    let text = std::str::from_utf8(answer).ok()?;
    let mut reader = Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    let mut content = String::new();
    let mut is_leaf = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                if path.len() >= MOST_DEPTH {
                    return None;
                }
                path.push(start.local_name().into_inner().to_string());
                content.clear();
                is_leaf = true;
            }
            Event::Empty(empty) => {
                let name = empty.local_name();
                let full: Vec<&str> = path.iter().map(String::as_str).chain([name.into_inner()]).collect();
                of(&full, "")?;
                is_leaf = false;
            }
            Event::End(_) => {
                if is_leaf {
                    let full: Vec<&str> = path.iter().map(String::as_str).collect();
                    of(&full, &content)?;
                }
                is_leaf = false;
                path.pop()?;
            }
            Event::Text(text) => content.push_str(&text),
            Event::CData(text) => content.push_str(&text),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().ok()? {
                Some(c) => content.push(c),
                None => content.push_str(resolve_predefined_entity(&reference)?),
            },
            // What could define more of these is in no answer.
            Event::DocType(_) => return None,
            Event::Eof => return path.is_empty().then_some(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

/// The error in an answer; an empty one if there is none in it, as if something else had answered.
pub fn refusal(answer: &[u8]) -> Refusal {
    let mut refusal = Refusal::default();
    let read = elements(answer, |path, text| {
        match path {
            ["Error", "Code"] => refusal.code = text.to_string(),
            ["Error", "Message"] => refusal.message = text.to_string(),
            ["Error", "Region"] => refusal.region = text.to_string(),
            _ => {}
        }
        Some(())
    });
    read.map(|()| refusal).unwrap_or_default()
}

/// The names in an answer to a listing.
pub fn listed(answer: &[u8]) -> Option<Listed> {
    let mut listed = Listed::default();
    let mut truncated = None;
    elements(answer, |path, text| {
        match path {
            ["ListBucketResult", "Contents", "Key"] => {
                if listed.names.len() >= PAGE_KEYS {
                    return None;
                }
                listed.names.push(text.to_string());
            }
            ["ListBucketResult", "IsTruncated"] => truncated = Some(text.trim().eq_ignore_ascii_case("true")),
            _ => {}
        }
        Some(())
    })?;
    listed.more = truncated?;
    Some(listed)
}

/// The objects that were not deleted, of an answer to a request to delete many, and why.
pub fn not_deleted(answer: &[u8]) -> Option<Vec<(String, Refusal)>> {
    let mut failed: Vec<(String, Refusal)> = Vec::new();
    let (mut name, mut refusal) = (None, Refusal::default());
    let mut is_one = false;
    elements(answer, |path, text| {
        is_one |= path.first() == Some(&"DeleteResult");
        match path {
            ["DeleteResult", "Error", "Key"] => name = Some(text.to_string()),
            ["DeleteResult", "Error", "Code"] => refusal.code = text.to_string(),
            ["DeleteResult", "Error", "Message"] => refusal.message = text.to_string(),
            _ => {}
        }
        // In whichever order they are: an error has both.
        if !refusal.code.is_empty()
            && let Some(name) = name.take()
        {
            if failed.len() >= PAGE_KEYS {
                return None;
            }
            failed.push((name, std::mem::take(&mut refusal)));
        }
        Some(())
    })?;
    // One that has nothing inside is the usual one.
    (is_one && name.is_none() && refusal.code.is_empty()).then_some(failed)
}

/// The request to delete objects, whose answer names only those that could not be.
pub fn delete<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::from("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
    for name in names {
        text.push_str("<Object><Key>");
        text.push_str(&escape(name));
        text.push_str("</Key></Object>");
    }
    text.push_str("</Delete>");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfuse_servers::allocated::Allocated;

    #[test]
    fn a_listing_is_read_as_documented() {
        let answer = br#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix/>
            <KeyCount>3</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>
            <Contents><Key> b/a &amp; b&#x20;</Key><ETag>&quot;1&quot;</ETag><Owner><ID>7</ID></Owner></Contents>
            <Contents><ETag>x</ETag><Key><![CDATA[b/<c>]]></Key></Contents><Contents><Key>b/&#xe4;&lt;</Key></Contents>
            <CommonPrefixes><Prefix>no</Prefix></CommonPrefixes><Key>no</Key></ListBucketResult>"#;
        let names = [" b/a & b ", "b/<c>", "b/ä<"].map(str::to_string).to_vec();
        assert_eq!(listed(answer), Some(Listed { names, more: true }));
        let prefixed = b"<s:ListBucketResult xmlns:s='x'><s:IsTruncated>false</s:IsTruncated></s:ListBucketResult>";
        assert_eq!(listed(prefixed), Some(Listed::default()));
    }

    #[test]
    fn errors_are_read_as_documented_and_what_is_none_is_empty() {
        let answer =
            b"<?xml version=\"1.0\"?>\n<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'x' is \
            wrong; expecting &apos;eu-west-1&apos;</Message><Region>eu-west-1</Region><RequestId>1</RequestId></Error>";
        let refused = refusal(answer);
        assert_eq!((refused.code.as_str(), refused.region.as_str()), ("AuthorizationHeaderMalformed", "eu-west-1"));
        assert_eq!(refused.message, "the region 'x' is wrong; expecting 'eu-west-1'");
        for other in
            ["", "{}", "<html><body>502</body></html>", "<Error><Code>A</Code>", "<Other><Code>A</Code></Other>"]
        {
            assert_eq!(refusal(other.as_bytes()), Refusal::default(), "{other}");
        }
    }

    #[test]
    fn what_could_not_be_deleted_is_read_as_documented() {
        let answer = b"<DeleteResult><Deleted><Key>b/a</Key></Deleted><Error><Key>b/c</Key><Code>AccessDenied</Code>\
            <Message>no</Message></Error><Error><Code>InternalError</Code><Key>b/&amp;</Key></Error></DeleteResult>";
        let failed = not_deleted(answer).unwrap();
        let failed: Vec<_> = failed.iter().map(|(name, refusal)| (name.as_str(), refusal.code.as_str())).collect();
        assert_eq!(failed, [("b/c", "AccessDenied"), ("b/&", "InternalError")]);
        for none in
            ["<DeleteResult/>", "<DeleteResult xmlns='x'></DeleteResult>", "<?xml version='1.0'?>\n<DeleteResult/>\n"]
        {
            assert_eq!(not_deleted(none.as_bytes()), Some(vec![]), "{none}");
        }
        let half = "<DeleteResult><Error><Key>a</Key></Error></DeleteResult>";
        for other in ["", "<html></html>", "<DeleteResult>", half] {
            assert_eq!(not_deleted(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_request_to_delete_escapes_names() {
        let text = delete(["b/a&<b>\"'", "b/ä"].into_iter());
        assert!(text.contains("<Key>b/a&amp;&lt;b&gt;&quot;&apos;</Key>") && text.contains("<Key>b/ä</Key>"), "{text}");
    }

    #[test]
    fn what_is_not_an_answer_is_rejected() {
        let deep = "<a>".repeat(100);
        let doctype =
            "<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        for text in [
            "",
            "{}",
            "<ListBucketResult/>",
            "<ListBucketResult><IsTruncated>false</IsTruncated>",
            "<ListBucketResult><IsTruncated>false</ListBucketResult>",
            "<ListBucketResult><IsTruncated>&false;</IsTruncated></ListBucketResult>",
            doctype,
            &deep,
        ] {
            assert_eq!(listed(text.as_bytes()), None, "{text}");
        }
        assert_eq!(listed(b"<ListBucketResult>\xff</ListBucketResult>"), None);
    }

    #[test]
    fn what_is_kept_is_bounded_by_the_answer_and_by_the_number_of_names() {
        let list = |count: usize| {
            let contents = "<Contents><Key></Key></Contents>".repeat(count);
            format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>")
        };
        assert!(listed(list(PAGE_KEYS).as_bytes()).is_some());
        let answer = list(100_000);
        Allocated::forget_peak();
        let before = Allocated::now();
        let read = listed(answer.as_bytes());
        let peak = Allocated::peak() - before;
        assert!(read.is_none() && peak < 1 << 20, "{peak}");
    }
}
