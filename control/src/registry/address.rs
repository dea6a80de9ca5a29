//! Parts an address from what is secret in it, and puts the two together again for the one who connects.

use url::Url;
use vitrail_engine::base::Login;
use vitrail_engine::source::CameraUri;
use zeroize::Zeroizing;

/// Stands where something secret was cut out of an address.
pub(super) const HIDDEN: char = '…';

/// What is secret of an address.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Secret {
    /// A user name and a password.
    Login(Login),
    /// The whole address: its path or query holds secrets, in a way of that maker's own.
    Address(Zeroizing<String>),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// An address as everybody may see it, and what was taken out.
pub(super) fn part(address: &str) -> (String, Option<Secret>) {
    let address = address.trim();
    let Ok(uri) = CameraUri::parse(address) else {
        // No checked address is unreadable; what cannot be read may hold anything.
        return (HIDDEN.to_string(), Some(Secret::Address(address.to_owned().into())));
    };
    let Some(url) = uri.url() else { return (address.to_owned(), None) };
    // As it was shown before: `…` is no secret.
    let shown = uri.redacted().to_string().replace("%E2%80%A6", "…");
    let plain = without_login(address);
    if shown.contains(HIDDEN) && shown != plain || url.fragment().is_some() {
        return (shown, Some(Secret::Address(address.to_owned().into())));
    }
    (plain, uri.login().cloned().map(Secret::Login))
}

/// The address for the one who connects.
pub(super) fn whole(shown: &str, secret: Option<&Secret>) -> String {
    match secret {
        None => shown.to_owned(),
        Some(Secret::Address(address)) => address.to_string(),
        Some(Secret::Login(login)) => with_login(shown, login),
    }
}

/// Whether an address of this scheme has room for a login.
pub(super) fn takes_login(address: &str) -> bool {
    let scheme = address.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("rtsp" | "rtsps" | "rtspt" | "rtspu" | "http" | "https"))
}

/// The machine that an address names: whom its login is told to. `None` for a file.
pub(super) fn host(address: &str) -> Option<String> {
    let uri = CameraUri::parse(address).ok()?;
    uri.host().map(str::to_ascii_lowercase)
}

/// Checks the address of an ONVIF device service; gives it without a login.
pub(super) fn check_onvif(address: &str) -> Result<(String, Option<Login>), &'static str> {
    let mut url =
        Url::parse(address.trim()).map_err(|_| "is no address; write http://HOST/onvif/device_service")?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("is no address of a device; write http://HOST/onvif/device_service");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query, and device services have none");
    }
    let login = CameraUri::parse(url.as_str()).ok().and_then(|uri| uri.login().cloned());
    if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
        return Err("is no address of a device; write http://HOST/onvif/device_service");
    }
    Ok((url.into(), login))
}

/// The span of the login with its `@`, where there is one.
fn login_span(address: &str) -> Option<std::ops::Range<usize>> {
    let start = address.find("://")? + 3;
    let end = address[start..].find(['/', '?', '#']).map_or(address.len(), |n| start + n);
    address[start..end].rfind('@').map(|at| start..start + at + 1)
}

fn without_login(address: &str) -> String {
    match login_span(address) {
        Some(span) => format!("{}{}", &address[..span.start], &address[span.end..]),
        None => address.to_owned(),
    }
}

fn with_login(shown: &str, login: &Login) -> String {
    let Some((scheme, rest)) = shown.split_once("://").filter(|_| takes_login(shown)) else {
        return shown.to_owned();
    };
    let colon = if login.password.is_empty() { "" } else { ":" };
    format!("{scheme}://{}{colon}{}@{rest}", encoded(&login.user), encoded(&login.password))
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn login(user: &str, password: &str) -> Secret {
        Secret::Login(Login { user: user.into(), password: password.into() })
    }

    #[test]
    fn a_login_is_parted_and_put_back() {
        for (address, shown, user, password) in [
            (
                "rtsp://admin:hunter2@10.0.0.1:554/a?channel=1",
                "rtsp://10.0.0.1:554/a?channel=1",
                "admin",
                "hunter2",
            ),
            ("rtsp://admin:p%40ss@10.0.0.1/a", "rtsp://10.0.0.1/a", "admin", "p@ss"),
            ("http://op@cam/x", "http://cam/x", "op", ""),
            ("rtspt://a:b@cam/x", "rtspt://cam/x", "a", "b"),
        ] {
            assert_eq!(part(address), (shown.to_owned(), Some(login(user, password))), "{shown}");
            let again = whole(shown, Some(&login(user, password)));
            let read = CameraUri::parse(&again).expect("an address");
            assert_eq!(read.login(), Some(&Login { user: user.into(), password: password.into() }));
        }
        for plain in [
            "rtsp://10.0.0.1/a",
            "/clips/a.mp4",
            "udp://239.1.1.1:5004",
            "file:///a%20b.mp4",
            "srt://h:9000?mode=caller",
        ] {
            assert_eq!(part(plain), (plain.to_owned(), None));
            assert_eq!(whole(plain, None), plain);
        }
    }

    #[test]
    fn secrets_in_path_and_query_are_cut_out_and_kept_whole() {
        for address in [
            "rtsp://10.0.0.1/user=admin_password=hunter2_channel=1.sdp",
            "rtsp://op:x@10.0.0.1/live?channel=1&pwd=hunter2",
            "srt://10.0.0.1:9000?passphrase=hunter2&latency=20",
            "https://h/a.m3u8?token=hunter2",
        ] {
            let (shown, secret) = part(address);
            assert!(shown.contains(HIDDEN) && !shown.contains("hunter2"), "{shown}");
            assert_eq!(whole(&shown, secret.as_ref()), address);
            assert!(!format!("{secret:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_was_cut_out_before_is_no_secret_again() {
        for shown in ["rtsp://10.0.0.1/live?channel=1&…", "rtsp://10.0.0.1/…", "http://h/…/x?…"] {
            assert_eq!(part(shown), (shown.to_owned(), None));
        }
        let (shown, secret) = part("rtsp://10.0.0.1/live?…&pwd=hunter2");
        assert!(secret.is_some() && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn device_services_are_http() {
        let (address, login) = check_onvif("http://a:b@10.0.0.1:8000/onvif/device_service").expect("one");
        assert_eq!(address, "http://10.0.0.1:8000/onvif/device_service");
        assert_eq!(login, Some(Login { user: "a".into(), password: "b".into() }));
        for wrong in ["", "10.0.0.1", "rtsp://10.0.0.1/x", "file:///etc/passwd", "http://h/x?a=b"] {
            assert!(check_onvif(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_login_survives(user in "[^\u{0}]{1,12}", password in "\\PC{0,16}") {
            let secret = Secret::Login(Login { user: user.clone(), password: password.clone() });
            let address = whole("rtsp://10.0.0.1:554/live", Some(&secret));
            let (shown, parted) = part(&address);
            prop_assert_eq!(shown, "rtsp://10.0.0.1:554/live");
            prop_assert_eq!(parted, Some(secret));
        }

        #[test]
        fn no_password_is_shown(
            scheme in "rtsps?|https?|srt|udp", user in "[a-z]{0,6}", before in "[a-z0-9:@&%.!$]{0,9}",
            after in "[a-z0-9:@&%.!$]{0,9}", rest in "(/[a-z]{0,5}){0,3}",
        ) {
            let (shown, _) = part(&format!("{scheme}://{user}:{before}hunter2{after}@10.0.0.1{rest}"));
            prop_assert!(!shown.contains("hunter2"), "{}", shown);
        }
    }
}
