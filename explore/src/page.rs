//! The page's files, and what every answer tells the browser.

/// A file of the page: its name below the token, its media type, and its content.
pub struct File {
    /// Empty for the page itself.
    pub name: &'static str,
    /// The value of `content-type`.
    pub kind: &'static str,
    /// The content.
    pub text: &'static str,
}

macro_rules! files {
    ($($name:literal $kind:literal $file:literal,)*) => {
        &[$(File { name: $name, kind: $kind, text: include_str!(concat!("../page/", $file)) }),*]
    };
}

/// All of them.
pub const FILES: &[File] = files! {
    "" "text/html; charset=utf-8" "index.html",
    "page.css" "text/css; charset=utf-8" "page.css",
    "icon.svg" "image/svg+xml" "icon.svg",
    "page.js" "text/javascript; charset=utf-8" "page.js",
    "api.js" "text/javascript; charset=utf-8" "api.js",
    "kinds.js" "text/javascript; charset=utf-8" "kinds.js",
    "dom.js" "text/javascript; charset=utf-8" "dom.js",
    "keys.js" "text/javascript; charset=utf-8" "keys.js",
    "value.js" "text/javascript; charset=utf-8" "value.js",
    "views.js" "text/javascript; charset=utf-8" "views.js",
    "edit.js" "text/javascript; charset=utf-8" "edit.js",
    "live.js" "text/javascript; charset=utf-8" "live.js",
    "statistics.js" "text/javascript; charset=utf-8" "statistics.js",
};

/// Headers of every answer. The page loads its own files and nothing else, no other page may contain or read it, nothing of
/// it is kept, and its scripts cannot make markup of text.
pub const HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];
