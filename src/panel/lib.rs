//! The pages of the panel as pure functions: a view comes in, HTML goes out.
//!
//! No socket and no clock; `http` handles requests and sessions. The templates escape all text from
//! users; nothing else writes into a page.

#![warn(unreachable_pub)]

pub mod frame;
pub mod pages;
#[cfg(test)]
mod tests;
pub mod texts;
pub mod views;

pub use consorcio_words::{details, reasons};

/// A static file that pages use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// The name of its route below `/painel/`.
    pub name: &'static str,
    /// The value of `Content-Type`, with its charset.
    pub media_type: &'static str,
    /// The body of the response.
    pub bytes: &'static [u8],
}

/// All static files; pages load nothing from other hosts.
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

/// The content security policy of all pages: only resources of this bank.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src \
    'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";
