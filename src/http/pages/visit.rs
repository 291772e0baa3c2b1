//! A request for a page: the language of the visitor, the path, the query; and the frame of the
//! page.

use crate::app::App;
use crate::call::{Requester, peer};
use crate::problem::Problem;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use consorcio_core::access::Privilege;
use consorcio_core::clock::{self, Apart};
use consorcio_core::wire::answer::InfoAnswer;
use consorcio_core::wire::request::{Read, Request};
use consorcio_panel::frame::{Frame, Page};
use consorcio_panel::texts::{Lang, Texts, texts};
use std::convert::Infallible;
use std::net::SocketAddr;

/// The cookie with the language of the visitor.
const LANGUAGE_COOKIE: &str = "idioma";

/// One request for a page.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    /// The address of the client.
    pub peer: SocketAddr,
    /// The language of the page.
    pub lang: Lang,
    /// The path, with its query.
    pub path: String,
    query: Vec<(String, String)>,
}

impl FromRequestParts<App> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Visit, Infallible> {
        let peer = peer(parts);
        let query = pairs(parts.uri.query().unwrap_or("").as_bytes());
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Visit { peer, lang: language_of(&parts.headers), path, query })
    }
}

/// The fields of a form or a query, in their order.
pub(crate) fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(bytes).into_owned().collect()
}

fn language_of(headers: &HeaderMap) -> Lang {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| if name == LANGUAGE_COOKIE { Lang::of(value) } else { None })
        .unwrap_or_default()
}

impl Visit {
    /// The texts in the visitor's language.
    pub(crate) fn t(&self) -> &'static Texts {
        texts(self.lang)
    }

    /// The value of `name` in the query; empty if it is missing.
    pub(crate) fn query(&self, name: &str) -> &str {
        self.query.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// All values of `name` in the query, in their order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.query
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The frame of `page`, with figures of this bank if the visitor may see them.
    ///
    /// # Errors
    /// 503 when the bank does not answer.
    pub(crate) async fn frame(&self, app: &App, page: Page) -> Result<Frame, Problem> {
        if app.is_closed() && !app.has(Privilege::Lists) {
            return Ok(self.bare_frame(app, page));
        }
        Ok(self.frame_and_figures(app, page).await?.0)
    }

    /// The frame of `page`, and the figures of this bank.
    ///
    /// # Errors
    /// 403 when the visitor may not see them, 503 when the bank does not answer.
    pub(crate) async fn frame_and_figures(
        &self,
        app: &App,
        page: Page,
    ) -> Result<(Frame, InfoAnswer<'static>), Problem> {
        let info: InfoAnswer<'static> = app.read(self.peer, Request::Read(Read::Info)).await?;
        let apart = info.wall.and_then(|wall| clock::apart(info.time, wall));
        let clock = apart.map(|apart| self.clock_words(apart));
        Ok((Frame { undecided: info.undecided, clock, ..self.bare_frame(app, page) }, info))
    }

    fn clock_words(&self, apart: Apart) -> String {
        let t = self.t();
        let (words, us) = match apart {
            Apart::Leads(us) => (t.clock_leads, us),
            Apart::Lags(us) => (t.clock_lags, us),
        };
        format!("{words} {}.", clock::span(us))
    }

    /// The frame of `page`, made without a request to the bank.
    pub(crate) fn bare_frame(&self, app: &App, page: Page) -> Frame {
        let bank = app.bank();
        Frame {
            lang: self.lang,
            bank: bank.as_u8(),
            address: app.places().get(bank.index()).cloned().unwrap_or_default(),
            here: page,
            path: self.path.clone(),
            demo: app.options().demo.is_some(),
            undecided: 0,
            clock: None,
            done: self.done(),
            visitor: app.visitor(),
        }
    }

    /// The message about the preceding action, from the query of the redirect.
    fn done(&self) -> Option<&'static str> {
        let t = self.t();
        match self.query("feito") {
            "cliente" => Some(t.client_added),
            "conta" => Some(t.account_added),
            "depositar" => Some(t.deposited),
            "sacar" => Some(t.withdrawn),
            "acao" => Some(t.done),
            _ => None,
        }
    }
}

/// `GET /painel/idioma`: stores the language and redirects back.
pub(crate) async fn language(visit: Visit, _: Requester) -> Response {
    let lang = Lang::of(visit.query("para")).unwrap_or_default();
    let back = visit.query("volta");
    let mut response = see_other(if is_page(back) { back } else { "/" });
    let cookie = format!(
        "{LANGUAGE_COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly",
        lang.short()
    );
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Is it a path of the panel? Browsers take `//host` and `/\t/host` for another site (open
/// redirect).
pub(crate) fn is_page(path: &str) -> bool {
    (path == "/" || path.starts_with("/?") || path.starts_with("/painel/"))
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

/// Redirects to `path` with 303, so that a reload does not submit the form again.
pub(crate) fn see_other(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// `value` encoded for a path or query.
pub(crate) fn encoded(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_comes_from_the_cookie() {
        let with = |line: &'static str| {
            language_of(&HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(line))]))
        };
        assert_eq!(with("idioma=en"), Lang::En);
        assert_eq!(with("a=b; idioma=en; c=d"), Lang::En);
        assert_eq!(with("idioma=xx"), Lang::Pt);
        assert_eq!(language_of(&HeaderMap::new()), Lang::Pt);
    }

    #[test]
    fn the_redirect_leads_only_to_the_panel() {
        for yes in ["/", "/?feito=acao", "/painel/contas/1%202?x=%C3%A7", "/painel/"] {
            assert!(is_page(yes), "{yes}");
        }
        for no in [
            "",
            "//evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/\\evil.example",
            "/painel/\t/x",
            "/.//evil.example",
            "https://evil.example",
            "/contas",
            "/painel/ç",
        ] {
            assert!(!is_page(no), "{no:?}");
        }
    }

    #[test]
    fn fields_are_read_in_their_order() {
        let fields = pairs(b"banco=0&valor=1.234%2C56&banco=1&nome=Jos%C3%A9+Silva");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            fields,
            [
                pair("banco", "0"),
                pair("valor", "1.234,56"),
                pair("banco", "1"),
                pair("nome", "José Silva")
            ]
        );
    }
}
