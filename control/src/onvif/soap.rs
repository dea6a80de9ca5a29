//! SOAP 1.2 as ONVIF speaks it: envelopes, the password digest of WS-Security, faults.

use base64ct::{Base64, Encoding};
use quick_xml::escape::escape;
use sha1::{Digest, Sha1};
use vitrail_engine::base::Login;

use super::xml::{self, Element};
use crate::base::{Kind, Problem, Result, Utc};

/// Bytes of a nonce.
const NONCE: usize = 16;

/// What a request is made of: its body, and who asks at which time of the device's clock.
pub(super) fn envelope(body: &str, login: Option<(&Login, Utc)>) -> String {
    let header =
        login.map(|(login, now)| security(login, now, &rand::random::<[u8; NONCE]>())).unwrap_or_default();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\">{header}<s:Body>{body}</s:Body></s:Envelope>"
    )
}

/// The UsernameToken with a digest: Base64(SHA-1(nonce + created + password)). The nonce makes each one
/// good for one request, the time for a short while.
fn security(login: &Login, now: Utc, nonce: &[u8]) -> String {
    let created = now.to_string();
    let digest = password_digest(nonce, &created, &login.password);
    let nonce = Base64::encode_string(nonce);
    const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss";
    format!(
        "<s:Header><Security s:mustUnderstand=\"1\" xmlns=\"{WSSE}-wssecurity-secext-1.0.xsd\"><UsernameToken>\
         <Username>{}</Username>\
         <Password Type=\"{WSSE}-username-token-profile-1.0#PasswordDigest\">{digest}</Password>\
         <Nonce EncodingType=\"{WSSE}-soap-message-security-1.0#Base64Binary\">{nonce}</Nonce>\
         <Created xmlns=\"{WSSE}-wssecurity-utility-1.0.xsd\">{created}</Created>\
         </UsernameToken></Security></s:Header>",
        escape(login.user.as_str())
    )
}

fn password_digest(nonce: &[u8], created: &str, password: &str) -> String {
    let digest = Sha1::new().chain_update(nonce).chain_update(created).chain_update(password).finalize();
    Base64::encode_string(&digest)
}

/// The body of an answer of a device that `about` names; its fault as a problem.
pub(super) fn body(text: &str, about: &str) -> Result<Element> {
    let strange =
        |why: &str| Problem::conflict(about.to_owned(), format!("the answer {why}")).code("device-strange");
    let mut envelope = xml::parse(text).map_err(strange)?;
    if envelope.name != "Envelope" {
        return Err(strange("is no SOAP"));
    }
    let body = envelope.children.iter().position(|child| child.name == "Body");
    let body = envelope.children.swap_remove(body.ok_or_else(|| strange("has no body"))?);
    match body.child("Fault") {
        Some(fault) => Err(refused(fault, about)),
        None => Ok(body),
    }
}

fn refused(fault: &Element, about: &str) -> Problem {
    let subcode = fault.find("Subcode").and_then(|s| s.text_of("Value"));
    let code = subcode.or_else(|| fault.text_of("Value")).unwrap_or_default();
    let code: String = code
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .chars()
        .take(64)
        .filter(|c| c.is_alphanumeric())
        .collect();
    let reason = fault.text_of("Text").or_else(|| fault.text_of("faultstring")).unwrap_or_default();
    let reason: String = reason.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if ["NotAuthorized", "FailedAuthentication", "InvalidSecurity"].contains(&code.as_str())
        || reason.to_ascii_lowercase().contains("authoriz")
    {
        return login_refused(about);
    }
    if code == "ActionNotSupported" {
        return Problem::new(Kind::Conflict, about, "the device cannot do this").code("device-cannot");
    }
    Problem::conflict(about, format!("the device refuses: {reason} ({code})")).code("device-refused")
}

/// The device takes no login, or not this one.
pub(super) fn login_refused(about: &str) -> Problem {
    Problem::conflict(about, "the device refuses this login; set the credentials of the camera")
        .code("device-login")
}

/// A text, for between tags and in attributes.
pub(super) fn text(text: &str) -> String {
    escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_onvif_programmers_guide() {
        // ONVIF Application Programmer's Guide 1.0, 6.1.1.3.
        let nonce = Base64::decode_vec("LKqI6G/AikKCQrN0zqZFlg==").expect("base64");
        let digest = password_digest(&nonce, "2010-09-16T07:50:45Z", "userpassword");
        assert_eq!(digest, "tuOSpGlFlIXsozq4HFNeeGeFLEI=");
    }

    #[test]
    fn an_envelope_shows_no_password_and_escapes_names() {
        let login = Login { user: "a<b".into(), password: "hunter2".into() };
        let text = envelope("<x/>", Some((&login, Utc(0))));
        assert!(
            !text.contains("hunter2") && text.contains("a&lt;b") && text.contains("1970-01-01T00:00:00.000Z")
        );
        let root = xml::parse(&text).expect("XML");
        assert_eq!(root.text_of("Username"), Some("a<b"));
        assert_ne!(text, envelope("<x/>", Some((&login, Utc(0)))), "a nonce for each request");
        assert!(!envelope("<x/>", None).contains("Header"));
    }

    #[test]
    fn faults_and_strange_answers_are_told() {
        let fault = |code: &str| {
            format!(
                "<s:Envelope xmlns:s='x'><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{code}</s:Value></s:Subcode></s:Code><s:Reason><s:Text>No\u{7}</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>"
            )
        };
        let code = |text: &str| body(text, "device 1").expect_err("wrong").code.unwrap_or_default();
        assert_eq!(code(&fault("ter:NotAuthorized")), "device-login");
        assert_eq!(code(&fault("ter:ActionNotSupported")), "device-cannot");
        assert_eq!(code(&fault("ter:InvalidArgVal")), "device-refused");
        assert_eq!(code("<html/>"), "device-strange");
        assert_eq!(code("<Envelope/>"), "device-strange");
        assert_eq!(code("401"), "device-strange");
        assert!(body("<Envelope><Body><x/></Body></Envelope>", "d").is_ok());
    }
}
