//! What is set of an identity provider: the file that `oidc` of the `[control]` table names.

use std::path::{Path, PathBuf};

use openidconnect::ClientSecret;
use serde::Deserialize;

use crate::base::{Problem, Result};
use crate::people::Role;

/// The file that `oidc` in the wall file's `[control]` table names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The provider: `https://id.example`. Plain HTTP on loopback only.
    pub issuer: String,
    /// This controller's name at the provider.
    pub client_id: String,
    /// `env:NAME` or `file:PATH`; left out where the provider gave none.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// `…/api/v1/oidc/callback` at the address by which browsers come.
    pub redirect: String,
    /// What is asked for beside `openid` and `profile`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Adds an account at the first sign-on; otherwise an administrator adds it before.
    #[serde(default)]
    pub provision: bool,
    /// The first line that fits decides the role at each sign-on; no lines: the account's own role.
    #[serde(default)]
    pub roles: Vec<Mapping>,
    /// Further certificate authorities for the provider's own certificate, as a PEM file.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// A role for those of whom the provider says `value` in `claim`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Name of a claim, with dots into objects: `groups`, `realm_access.roles`.
    pub claim: String,
    /// What it must be, or hold.
    pub value: String,
    /// The role.
    pub role: Role,
    /// The zones of a zone authority.
    #[serde(default)]
    pub zones: Vec<String>,
    /// The claim that holds further zones.
    #[serde(default)]
    pub zones_claim: Option<String>,
    /// The unit.
    #[serde(default)]
    pub unit: Option<String>,
    /// The claim that holds the unit.
    #[serde(default)]
    pub unit_claim: Option<String>,
}

impl Settings {
    /// Reads the settings of a file (TOML). Paths in it are seen from its folder.
    pub fn read(path: &Path) -> Result<Settings> {
        let wrong = |text: String| Problem::invalid(path.display().to_string(), text);
        let text = std::fs::read_to_string(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let mut settings: Settings = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        settings.ca = settings.ca.map(|ca| folder.join(ca));
        if let Some(("file", secret)) =
            settings.client_secret.as_deref().and_then(|from| from.split_once(':'))
        {
            settings.client_secret = Some(format!("file:{}", folder.join(secret).display()));
        }
        Ok(settings)
    }
}

/// True for addresses on which nobody else can listen in.
pub(super) fn private(url: &url::Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        },
        _ => false,
    }
}

/// A secret from the environment or a file: never from the wall file itself.
pub(super) fn read_secret(from: &str) -> Result<ClientSecret> {
    let wrong = |text: String| Problem::invalid("sign-on: client_secret", text);
    let text = match from.split_once(':') {
        Some(("env", name)) => std::env::var(name).map_err(|e| wrong(format!("{name}: {e}")))?,
        Some(("file", path)) => std::fs::read_to_string(path).map_err(|e| wrong(format!("{path}: {e}")))?,
        _ => return Err(wrong("write env:NAME or file:PATH".into())),
    };
    Ok(ClientSecret::new(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_reached_privately_and_secrets_stay_out_of_the_wall_file() {
        let private = |text: &str| private(&text.parse().expect("a URL"));
        assert!(
            private("https://id.example") && private("http://127.0.0.1:1") && private("http://localhost")
        );
        assert!(!private("http://id.example") && !private("http://10.0.0.1") && !private("ftp://localhost"));
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("oidc.toml");
        let text = "issuer = 'https://id.example'\nclient_id = 'vitrail'\nredirect = 'https://w.example/api/v1/oidc/callback'\n\
                    client_secret = 'file:secret'\n[[roles]]\nclaim = 'groups'\nvalue = 'watch'\nrole = 'operator'\n";
        std::fs::write(&file, text).expect("written");
        std::fs::write(folder.path().join("secret"), "s3cret\n").expect("written");
        let settings = Settings::read(&file).expect("reads");
        let from = settings.client_secret.expect("one");
        assert_eq!(read_secret(&from).expect("reads").secret(), "s3cret");
        assert!(settings.roles[0].role == Role::Operator && !settings.provision);
        std::fs::write(&file, format!("{text}\ntypo = 1")).expect("written");
        assert!(Settings::read(&file).is_err());
        assert!(read_secret("hunter2").is_err() && read_secret("env:VITRAIL_NO_SUCH_VARIABLE").is_err());
    }
}
