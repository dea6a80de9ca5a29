//! The page's files, which are within the program; its own addresses all lead to index.html.

use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use crate::base::{Kind, Problem, Result, hex};

/// What `web/` was built to.
#[derive(RustEmbed)]
#[folder = "../web/dist"]
#[allow_missing = true]
struct Files;

const NOT_BUILT: &str =
    "this program was built without its page: run `make web` in the sources and build it again";
/// For addresses outside the program's own: a file, or the page that shows what the address names.
const INDEX: &str = "index.html";
/// Names with a hash of their content: they never change.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Asked anew each time; answered with 304 where nothing changed.
const ASK: &str = "no-cache";
/// Where the page's build puts files whose names hold a hash.
const HASHED: &str = "assets/";

/// Why this program has no page and what to do about it, where it has none.
pub fn missing() -> Option<&'static str> {
    Files::get(INDEX).is_none().then_some(NOT_BUILT)
}

/// Answers with a file of the page.
pub async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Result<Response> {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Err(Problem::new(Kind::NotFound, "address", "there is nothing at this address"));
    }
    if !matches!(method, Method::GET | Method::HEAD) {
        return Ok((StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response());
    }
    file(path, &headers, Files::get)
}

fn file(
    path: &str,
    headers: &HeaderMap,
    get: impl Fn(&str) -> Option<rust_embed::EmbeddedFile>,
) -> Result<Response> {
    let name = if path.is_empty() { INDEX } else { path };
    let (name, found) = match get(name) {
        Some(found) => (name, found),
        // A file that is missing is missing; anything else is an address of the page.
        None if name.rsplit('/').next().is_some_and(|last| last.contains('.')) => {
            return match get(INDEX) {
                Some(_) => Err(Problem::new(Kind::NotFound, "file", "there is nothing at this address")),
                None => Err(not_built()),
            };
        }
        None => (INDEX, get(INDEX).ok_or_else(not_built)?),
    };
    let hash = found.metadata.sha256_hash();
    let tag = format!("\"{}\"", hex(&hash[..16]));
    let cache = if name.starts_with(HASHED) { FOREVER } else { ASK };
    let known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|sent| sent.to_str().is_ok_and(|s| s.contains(&tag)));
    if known {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag), (header::CACHE_CONTROL, cache.into())])
            .into_response());
    }
    let headers = [
        (header::CONTENT_TYPE, with_charset(found.metadata.mimetype())),
        (header::CACHE_CONTROL, cache.into()),
        (header::ETAG, tag),
    ];
    Ok((headers, Body::from(found.data)).into_response())
}

fn with_charset(kind: &str) -> String {
    match kind.starts_with("text/") {
        true => format!("{kind}; charset=utf-8"),
        false => kind.to_owned(),
    }
}

fn not_built() -> Problem {
    let detail = format!("{NOT_BUILT}; the API is at /api/v1, its description at /api/v1/openapi.json");
    Problem::new(Kind::NotFound, "page", detail).code("no-page")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_embed::{EmbeddedFile, Metadata};

    fn built(name: &str) -> Option<EmbeddedFile> {
        let kind = match name {
            "index.html" => "text/html",
            "assets/app-1a2b3c.js" => "text/javascript",
            _ => return None,
        };
        let data = name.as_bytes().to_vec().into();
        Some(EmbeddedFile { data, metadata: Metadata::__rust_embed_new([7; 32], None, None, kind) })
    }

    fn ask(path: &str, known: Option<&str>) -> (StatusCode, String, String, String) {
        let mut headers = HeaderMap::new();
        if let Some(known) = known {
            headers.insert(header::IF_NONE_MATCH, known.parse().expect("a tag"));
        }
        let response = file(path, &headers, built).unwrap_or_else(IntoResponse::into_response);
        let header =
            |name| response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        (response.status(), header(header::CONTENT_TYPE), header(header::CACHE_CONTROL), header(header::ETAG))
    }

    #[test]
    fn files_have_their_type_and_hashed_names_stay_for_ever() {
        let (status, kind, cache, tag) = ask("assets/app-1a2b3c.js", None);
        assert_eq!(
            (status, kind.as_str(), cache.as_str()),
            (StatusCode::OK, "text/javascript; charset=utf-8", FOREVER)
        );
        assert_eq!(ask("assets/app-1a2b3c.js", Some(&tag)).0, StatusCode::NOT_MODIFIED);
        assert_eq!(ask("assets/app-1a2b3c.js", Some("\"other\"")).0, StatusCode::OK);
    }

    #[test]
    fn addresses_of_the_page_lead_to_the_page_and_missing_files_do_not() {
        for path in ["", "cameras", "audit/of/north"] {
            let (status, kind, cache, _) = ask(path, None);
            assert_eq!(
                (status, kind.as_str(), cache.as_str()),
                (StatusCode::OK, "text/html; charset=utf-8", ASK)
            );
        }
        assert_eq!(ask("assets/old-9f.js", None).0, StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_program_without_its_page_says_so() {
        let problem = file("", &HeaderMap::new(), |_| None).expect_err("none");
        assert_eq!(problem.code.as_deref(), Some("no-page"));
    }
}
