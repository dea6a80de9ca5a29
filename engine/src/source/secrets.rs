//! The secrets file: user names and passwords by camera or by host, kept out of wall files.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::Deserialize;

use super::uri::{CameraUri, Login};
use crate::base::{Error, ErrorKind, Result};
use crate::media::CameraId;

/// User names and passwords by camera id and by host; prints none of them.
#[derive(Clone, Default)]
pub struct Secrets {
    cameras: BTreeMap<String, Login>,
    hosts: BTreeMap<String, Login>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    camera: BTreeMap<String, Entry>,
    #[serde(default)]
    host: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    user: String,
    password: String,
}

impl Secrets {
    /// Reads a file, which only its owner may be able to read (`chmod 600`).
    pub fn load(path: &Path) -> Result<Secrets> {
        let subject = path.display().to_string();
        let refuse = |e| Error::new(ErrorKind::Config, subject.clone(), "cannot be read").caused_by(e);
        let file = std::fs::File::open(path).map_err(refuse)?;
        let mode = file.metadata().map_err(refuse)?.permissions().mode();
        if mode & 0o077 != 0 {
            let message =
                format!("holds passwords and others may read it (mode {:o}); chmod 600 it", mode & 0o777);
            return Err(Error::new(ErrorKind::Config, subject, message));
        }
        Secrets::parse(&subject, &std::io::read_to_string(file).map_err(refuse)?)
    }

    /// Reads the text of such a file; `subject` names it in errors.
    pub fn parse(subject: &str, text: &str) -> Result<Secrets> {
        let file: File = toml::from_str(text).map_err(|e| {
            // The parser quotes the line, or a value in it: only its number may be shown.
            let line =
                e.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let want =
                "not a secrets file; write `[camera.ID]` or `[host.\"ADDRESS\"]` with user and password";
            Error::new(ErrorKind::Config, format!("{subject}:{line}"), want)
        })?;
        let logins = |entries: BTreeMap<String, Entry>| {
            entries.into_iter().map(|(k, e)| (k, Login { user: e.user, password: e.password })).collect()
        };
        Ok(Secrets { cameras: logins(file.camera), hosts: logins(file.host) })
    }

    /// The login of a camera: its own, else its host's, else the one in its address.
    pub fn login(&self, camera: &CameraId, uri: &CameraUri) -> Option<Login> {
        let of_host = || uri.host().and_then(|host| self.hosts.get(host));
        self.cameras.get(camera.as_str()).or_else(of_host).or(uri.login()).cloned()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} cameras, {} hosts)", self.cameras.len(), self.hosts.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[camera.gate]\nuser = \"a\"\npassword = \"pa\"\n[host.\"10.0.0.5\"]\nuser = \"h\"\npassword = \"ph\"\n";

    fn uri(text: &str) -> CameraUri {
        CameraUri::parse(text).expect("a valid address")
    }

    #[test]
    fn the_camera_comes_before_the_host_before_the_address() {
        let secrets = Secrets::parse("s", TEXT).expect("a valid file");
        let user = |camera: &str, text: &str| secrets.login(&camera.into(), &uri(text)).map(|l| l.user);
        assert_eq!(user("gate", "rtsp://10.0.0.5/1").as_deref(), Some("a"));
        assert_eq!(user("yard", "rtsp://u:p@10.0.0.5/1").as_deref(), Some("h"));
        assert_eq!(user("yard", "rtsp://u:p@10.0.0.6/1").as_deref(), Some("u"));
        assert_eq!(user("yard", "rtsp://10.0.0.6/1"), None);
        assert!(!format!("{secrets:?}").contains("pa"));
    }

    #[test]
    fn a_fault_names_the_line_and_no_password() {
        for text in [
            "[camera.gate]\nuser = \"a\"\npassword = 4711\n",
            "[camera.gate]\nuser = \"a\"\npassword = \"4711\n",
            "[camera.gate]\nuser = \"a\"\npasswort = \"4711\"\n",
            "[camera.gate]\n4711 = 4711 4711\n",
        ] {
            let error = Secrets::parse("secrets.toml", text).expect_err("not a secrets file");
            assert!(error.subject().starts_with("secrets.toml:"), "{error}");
            assert!(!format!("{error} {error:?}").contains("4711"), "{error:?}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), TEXT).expect("writing");
        for (mode, fine) in [(0o644, false), (0o640, false), (0o600, true), (0o400, true)] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).expect("chmod");
            let loaded = Secrets::load(file.path());
            assert_eq!(loaded.is_ok(), fine, "{mode:o}");
            if let Err(error) = loaded {
                assert!(error.to_string().contains("chmod 600"));
            }
        }
    }
}
