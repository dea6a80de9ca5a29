//! What the room answers over HTTP: status, headers, body. The handlers in `api` add who calls.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use vitrail_engine::wall::StillWish;

use super::stream::{self, BOUNDARY, Parts};
use super::{Live, Opened, Watcher, too_many};
use crate::base::{Kind, Problem, Result};
use crate::people::Caller;

/// The largest offer: browsers' have 2 to 8 kB.
pub(crate) const LARGEST_OFFER: usize = 64 << 10;

/// `If-None-Match` of a request.
#[derive(Clone, Debug, Default)]
pub struct Conditions(Option<String>);

impl Conditions {
    /// From the headers of a request.
    pub fn of(headers: &HeaderMap) -> Conditions {
        Conditions(headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).map(str::to_owned))
    }

    /// True where the asker has this already (RFC 9110, section 13.1.2: weak comparison).
    fn has(&self, tag: &str) -> bool {
        let Some(known) = &self.0 else { return false };
        known
            .split(',')
            .map(|one| one.trim().trim_start_matches("W/").trim_matches('"'))
            .any(|one| one == tag)
    }
}

impl Live {
    /// Answers an offer: 201 with the answer and the session's own address.
    ///
    /// # Errors
    /// As [`Live::open`]; and where it is no `application/sdp` text.
    pub async fn answer_offer(
        &self,
        watcher: &Watcher,
        screen: &str,
        headers: &HeaderMap,
        offer: &[u8],
    ) -> Result<Response> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/sdp") {
            return Err(Problem::new(Kind::Malformed, "Content-Type", "send the offer as application/sdp")
                .code("sdp"));
        }
        if offer.len() > LARGEST_OFFER {
            return Err(Problem::new(
                Kind::TooLarge,
                "offer",
                format!("has more than {LARGEST_OFFER} bytes"),
            ));
        }
        let offer = String::from_utf8(offer.to_vec()).map_err(|_| super::sdp::unreadable("it is no text"))?;
        let Opened { session, answer } = self.open(watcher, screen, offer).await?;
        let place = location(screen, &session)?;
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/sdp")),
            (header::LOCATION, place),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        Ok((StatusCode::CREATED, headers, answer).into_response())
    }

    /// The newest canvas as JPEG; 304 where the asker has it.
    ///
    /// # Errors
    /// As [`super::Pictures::newest`].
    pub async fn answer_picture(
        &self,
        screen: &str,
        width: u32,
        conditions: &Conditions,
    ) -> Result<Response> {
        let tag = self.pictures.tag(screen, width).await?;
        if conditions.has(&tag) {
            return Ok(unchanged(&tag));
        }
        let picture = self.pictures.newest(screen, width).await?;
        Ok(jpeg(&picture.tag, picture.bytes.into()))
    }

    /// Canvases one after the other, until the login ends.
    ///
    /// # Errors
    /// Not found where there is no such screen or it shows nothing yet; unavailable where too many watch.
    pub async fn answer_stream(
        &self,
        watcher: &Watcher,
        screen: &str,
        width: u32,
        fps: f64,
    ) -> Result<Response> {
        self.pictures.tag(screen, width).await?;
        let body = stream::body(Parts {
            pictures: self.pictures.clone(),
            screen: screen.to_owned(),
            width,
            interval: stream::interval(fps),
            login: watcher.ended.clone(),
            stopping: self.stopping.clone(),
            _seat: self.streams.clone().try_acquire_owned().map_err(|_| too_many())?,
            _look: watcher.look.clone(),
        });
        let kind = format!("multipart/x-mixed-replace; boundary={BOUNDARY}");
        Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store".to_owned())], body)
            .into_response())
    }

    /// A camera's thumbnail, at most `width` pixels wide, upright or as it is sent; 304 where the asker has it.
    ///
    /// # Errors
    /// As [`super::Thumbnails::newest`].
    pub async fn answer_thumbnail(
        &self,
        caller: &Caller,
        camera: &str,
        width: u32,
        upright: bool,
        conditions: &Conditions,
    ) -> Result<Response> {
        let (caller, may_see) = (caller.clone(), self.hooks.may_see.clone());
        let wish = StillWish { width, as_sent: !upright };
        let thumbnail = self.thumbnails.newest(camera, wish, move |camera| may_see(&caller, camera)).await?;
        if conditions.has(&thumbnail.tag) {
            return Ok(unchanged(&thumbnail.tag));
        }
        Ok(jpeg(&thumbnail.tag, thumbnail.bytes.into()))
    }
}

/// Where a session is ended.
fn location(screen: &str, session: &str) -> Result<HeaderValue> {
    let wrong = || Problem::internal(format!("screen {screen}"), "has an id that is no part of an address");
    let mut url = url::Url::parse("http://here/api/v1/whep").map_err(|_| wrong())?;
    url.path_segments_mut().map_err(|()| wrong())?.push(screen).push(session);
    HeaderValue::from_str(url.path()).map_err(|_| wrong())
}

/// Kept by nobody but the asker, and asked for again each time: what may be seen changes.
fn picture_headers(tag: &str) -> [(header::HeaderName, String); 2] {
    [(header::ETAG, format!("\"{tag}\"")), (header::CACHE_CONTROL, "private, no-cache".to_owned())]
}

fn unchanged(tag: &str) -> Response {
    (StatusCode::NOT_MODIFIED, picture_headers(tag)).into_response()
}

fn jpeg(tag: &str, body: Body) -> Response {
    (picture_headers(tag), [(header::CONTENT_TYPE, "image/jpeg")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_tag_is_found_however_it_is_written() {
        let with = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(text));
            Conditions::of(&headers)
        };
        assert!(with("\"1f-640\"").has("1f-640") && with("W/\"a\", W/\"1f-640\"").has("1f-640"));
        assert!(!with("\"1f-320\"").has("1f-640") && !Conditions::default().has("1f-640"));
    }

    #[test]
    fn sessions_have_an_address_whatever_the_screen_is_called() {
        let place = location("left/1 ü", "ab12").expect("an address");
        assert_eq!(place.to_str().ok(), Some("/api/v1/whep/left%2F1%20%C3%BC/ab12"));
    }
}
