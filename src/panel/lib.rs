//! The panel's pages as pure text: what a page shows comes in as a view, HTML goes out.
//!
//! No socket, no clock, nothing about requests or sessions: those are `http`'s. Everything that
//! came from users is escaped by the templates; there is no other way into a page.

#![warn(unreachable_pub)]

pub mod details;
pub mod frame;
pub mod pages;
pub mod reasons;
#[cfg(test)]
mod tests;
pub mod texts;
pub mod views;

/// A file that pages refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Its name below `/painel/`.
    pub name: &'static str,
    /// The value of `Content-Type`, with its charset.
    pub media_type: &'static str,
    /// The body of the response.
    pub bytes: &'static [u8],
}

/// All files that pages refer to; nothing is loaded from elsewhere.
pub const ASSETS: [Asset; 3] = [
    Asset {
        name: "painel.css",
        media_type: "text/css; charset=utf-8",
        bytes: include_bytes!("assets/painel.css"),
    },
    Asset {
        name: "painel.js",
        media_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("assets/painel.js"),
    },
    Asset {
        name: "icone.svg",
        media_type: "image/svg+xml",
        bytes: include_bytes!("assets/icone.svg"),
    },
];

/// What the browser may load and do on a page: only what this bank serves itself.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src \
                                           'self'; \
    img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors \
    'none'";
