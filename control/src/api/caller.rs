//! Who calls, read from the request: the extractor that every handler but the public ones begins with.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

use super::Shared;
use crate::base::{Kind, Problem, Result, blocking};
use crate::people::{Caller, LoginOrigin, secret};

/// The cookie of a session.
pub const COOKIE: &str = "vitrail_session";
/// The header that a page sends with its changes.
pub const CSRF: &str = "x-csrf";

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Caller> {
        if let Some(caller) = parts.extensions.get::<Caller>() {
            return Ok(caller.clone());
        }
        let from = address(parts);
        let caller = match parts.headers.get(header::AUTHORIZATION) {
            Some(value) => {
                let token = value.to_str().ok().and_then(bearer).ok_or_else(|| not_logged_in("bearer"))?;
                let hash = secret::hash(token);
                let shared = shared.clone();
                let found = blocking(move || shared.people.find_token(&hash)).await?;
                Caller::of(found.ok_or_else(|| not_logged_in("token"))?, from)
            }
            None => {
                let cookie = cookie(&parts.headers, COOKIE).ok_or_else(|| not_logged_in("login"))?;
                let hash = secret::hash(cookie);
                let people = shared.clone();
                let found = blocking(move || people.people.find_session(&hash)).await?;
                let caller = Caller::of(found.ok_or_else(|| not_logged_in("session"))?, from);
                if changes(&parts.method) {
                    same_origin(parts, shared.people.settings().origin.as_deref())?;
                    let sent =
                        parts.headers.get(CSRF).and_then(|value| value.to_str().ok()).unwrap_or_default();
                    if !secret::equal(sent, &secret::csrf(cookie)) {
                        let remedy = "send the header X-CSRF with the value of csrf in /api/v1/me";
                        return Err(Problem::refused("X-CSRF", remedy).code("csrf"));
                    }
                }
                caller
            }
        };
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

/// Whoever calls a route that needs no login.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The network address from which the request comes, where it is known.
    pub address: Option<IpAddr>,
    /// Hash of the session cookie that came along, whether it stands or not.
    pub session: Option<secret::Hash>,
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Visitor> {
        if changes(&parts.method) {
            same_origin(parts, shared.people.settings().origin.as_deref())?;
        }
        Ok(Visitor { address: address(parts), session: cookie(&parts.headers, COOKIE).map(secret::hash) })
    }
}

impl From<Visitor> for LoginOrigin {
    fn from(visitor: Visitor) -> LoginOrigin {
        LoginOrigin { address: visitor.address, session: visitor.session }
    }
}

fn not_logged_in(code: &str) -> Problem {
    Problem::new(Kind::NotLoggedIn, "login", "log in first; sessions and tokens end with time").code(code)
}

/// From where the request comes.
pub fn address(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical())
}

/// Whether requests of this method change anything.
fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// A cookie's value.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(other, _)| *other == name)
        .map(|(_, value)| value)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Fails where a browser says that the request comes from a page of another server: its `Origin` is
/// neither the host that was called nor `public`, the origin by which people reach a proxy before it.
fn same_origin(parts: &Parts, public: Option<&str>) -> Result<()> {
    let Some(origin) = parts.headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or("null");
    // HTTP/2 has the host in the address, HTTP/1.1 in a header.
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let host = authority.or_else(|| parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()));
    let own = origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host);
    if own || public == Some(origin) {
        return Ok(());
    }
    Err(Problem::refused("origin", "this request comes from a page of another server").code("origin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (name.parse::<axum::http::HeaderName>().expect("name"), value.parse().expect("value"))
            })
            .collect()
    }

    #[test]
    fn finds_a_cookie_among_others() {
        let sent = headers(&[("cookie", "a=b; vitrail_session=xyz; other_vitrail_session=no")]);
        assert_eq!(cookie(&sent, COOKIE), Some("xyz"));
        assert_eq!(
            cookie(
                &headers(&[("cookie", "xvitrail_session=no; vitrail_sessionx=no; vitrail_session")]),
                COOKIE
            ),
            None
        );
        assert_eq!(bearer("bEARER  abc"), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
    }

    #[test]
    fn pages_of_other_servers_are_refused() {
        let ok = |uri: &str, pairs: &[(&'static str, &'static str)], public| {
            let mut parts = axum::http::Request::new(()).into_parts().0;
            parts.uri = uri.parse().expect("an address");
            parts.headers = headers(pairs);
            same_origin(&parts, public).is_ok()
        };
        let from = |origin| ok("/", &[("host", "wall.example:8700"), ("origin", origin)], None);
        assert!(ok("/", &[("host", "wall.example")], None), "programs send none");
        assert!(from("https://wall.example:8700"));
        for other in ["https://evil.example", "https://wall.example", "null", "wall.example:8700", ""] {
            assert!(!from(other), "{other}");
        }
        let second = "https://wall.example/api";
        assert!(ok(second, &[("origin", "https://wall.example")], None), "HTTP/2");
        assert!(!ok(second, &[("origin", "https://evil.example"), ("host", "evil.example")], None));
        let public = Some("https://public.example");
        assert!(ok("/", &[("host", "127.0.0.1:8700"), ("origin", "https://public.example")], public));
    }
}
