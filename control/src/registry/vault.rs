//! Credentials at rest: XChaCha20-Poly1305 under a key from a file or the environment, a nonce for
//! each value, and what it belongs to as associated data, so that no value can be moved to another camera.

use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64ct::{Base64, Encoding};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use vitrail_engine::base::files::sync_parent;
use zeroize::Zeroizing;

use crate::base::{Kind, Problem, Result, hex};

/// Bytes of a key.
const KEY: usize = 32;
/// Bytes of a nonce of XChaCha20.
const NONCE: usize = 24;
/// What errors are about: the key of the wall file's table.
const SUBJECT: &str = "credentials_key";
/// The text that is sealed so that a wrong key is told.
const KNOWN: &[u8] = b"vitrail registry";

/// Where the key comes from: `file:PATH` or `env:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file that only its owner may read; made at the first start.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
}

impl FromStr for KeySource {
    type Err = Problem;
    fn from_str(text: &str) -> Result<KeySource> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(KeySource::File(path.into())),
            Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
                Ok(KeySource::Env(name.to_owned()))
            }
            _ => Err(Problem::invalid(SUBJECT, "is neither file:PATH nor env:NAME")),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::File(path) => write!(f, "file:{}", path.display()),
            KeySource::Env(name) => write!(f, "env:{name}"),
        }
    }
}

impl KeySource {
    /// The key that is there.
    ///
    /// # Errors
    /// It is missing, no key, or a file that others may read.
    pub fn read(&self) -> Result<Key> {
        match self {
            KeySource::File(path) => match read_file(path)? {
                Some(key) => Ok(key),
                None => Err(unusable(format!(
                    "{} is missing: put it back, for without it no stored password can be read",
                    path.display()
                ))),
            },
            KeySource::Env(name) => match std::env::var(name) {
                Ok(text) => {
                    Key::from_text(&Zeroizing::new(text)).ok_or_else(|| no_key(&format!("variable {name}")))
                }
                Err(_) => Err(unusable(format!("variable {name} is not set"))),
            },
        }
    }

    /// The key that is there; a file that is not is made, with a new key.
    ///
    /// # Errors
    /// As [`read`](KeySource::read), and a file that cannot be written.
    pub fn read_or_make(&self) -> Result<Key> {
        let KeySource::File(path) = self else { return self.read() };
        if let Some(key) = read_file(path)? {
            return Ok(key);
        }
        let key = Key::random()?;
        let text = Zeroizing::new(format!("{}\n", Base64::encode_string(&*key.bytes)));
        let failed = |e: std::io::Error| unusable(format!("{} cannot be written: {e}", path.display()));
        // Nobody but the owner reads it, from its first byte on; and two starts make one key.
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_parent(path))
            .map_err(failed)?;
        Ok(key)
    }
}

fn read_file(path: &Path) -> Result<Option<Key>> {
    let failed = |e: std::io::Error| unusable(format!("{} cannot be read: {e}", path.display()));
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let about = file.metadata().map_err(failed)?;
    let mode = about.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(unusable(format!(
            "{} is open to others (mode {:o}); chmod 600 it",
            path.display(),
            mode & 0o777
        )));
    }
    if about.len() > 1024 {
        return Err(no_key(&path.display().to_string()));
    }
    let text = Zeroizing::new(std::io::read_to_string(file).map_err(failed)?);
    Key::from_text(&text).map(Some).ok_or_else(|| no_key(&path.display().to_string()))
}

fn unusable(detail: String) -> Problem {
    Problem::new(Kind::Unavailable, SUBJECT, detail)
}

fn no_key(where_it_is: &str) -> Problem {
    unusable(format!("{where_it_is} holds no key: 32 bytes, as base64 or hexadecimal"))
}

/// A key; prints its id alone.
#[derive(Clone)]
pub struct Key {
    bytes: Zeroizing<[u8; KEY]>,
    id: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// A sealed value.
pub(super) struct Sealed {
    pub nonce: [u8; NONCE],
    pub text: Vec<u8>,
}

impl Key {
    /// A new key, from the system's random numbers.
    pub fn random() -> Result<Key> {
        let mut bytes = Zeroizing::new([0; KEY]);
        SysRng.try_fill_bytes(&mut *bytes).map_err(|e| unusable(format!("no random numbers: {e}")))?;
        Ok(Key::new(bytes))
    }

    /// From 32 bytes as base64 or hexadecimal.
    pub fn from_text(text: &str) -> Option<Key> {
        let text = text.trim();
        let mut bytes = Zeroizing::new([0; KEY]);
        if text.len() == 2 * KEY && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            for (i, byte) in bytes.iter_mut().enumerate() {
                *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
            }
            return Some(Key::new(bytes));
        }
        let read = Base64::decode(text, &mut *bytes).ok()?.len();
        (read == KEY).then(|| Key::new(bytes))
    }

    fn new(bytes: Zeroizing<[u8; KEY]>) -> Key {
        let hash = Sha256::new().chain_update(b"vitrail registry key id").chain_update(*bytes).finalize();
        let id = hex(&hash[..4]);
        Key { bytes, id }
    }

    /// By which people tell it from another key; says nothing of the key itself.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a value that belongs to `about`.
    pub(super) fn seal(&self, plain: &[u8], about: &str) -> Result<Sealed> {
        let mut nonce = [0; NONCE];
        SysRng.try_fill_bytes(&mut nonce).map_err(|e| unusable(format!("no random numbers: {e}")))?;
        let cipher = XChaCha20Poly1305::new((&*self.bytes).into());
        let text = cipher
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: about.as_bytes() })
            .map_err(|_| Problem::internal(SUBJECT, "a value could not be sealed"))?;
        Ok(Sealed { nonce, text })
    }

    /// Opens what was sealed under this key for `about`; `None` where it was not.
    pub(super) fn unseal(&self, nonce: &[u8], sealed: &[u8], about: &str) -> Option<Zeroizing<Vec<u8>>> {
        if nonce.len() != NONCE {
            return None;
        }
        let cipher = XChaCha20Poly1305::new((&*self.bytes).into());
        let payload = Payload { msg: sealed, aad: about.as_bytes() };
        cipher.decrypt(XNonce::from_slice(nonce), payload).ok().map(Zeroizing::new)
    }

    /// What is kept so that a wrong key is told.
    pub(super) fn mark(&self) -> Result<Sealed> {
        self.seal(KNOWN, "registry_key")
    }

    /// Whether the mark was made under this key.
    pub(super) fn made(&self, nonce: &[u8], sealed: &[u8]) -> bool {
        self.unseal(nonce, sealed, "registry_key").is_some_and(|text| *text == KNOWN)
    }
}

/// What is said where the key is not the one of this database.
pub(super) fn wrong_key(given: &Key, needed: &str) -> Problem {
    unusable(format!(
        "key {} is not the one under which the passwords of this database are stored (key {needed}); \
         give that one, or change keys with vitrail registry rekey",
        given.id()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("key");
        let source: KeySource = format!("file:{}", path.display()).parse().expect("a source");
        assert_eq!(source.read().expect_err("not there").kind, Kind::Unavailable);
        let made = source.read_or_make().expect("made");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(source.read().expect("read").id(), made.id());
        assert_eq!(source.read_or_make().expect("read").id(), made.id());
        assert_ne!(Key::random().expect("another").id(), made.id());

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("mode");
        assert!(source.read().expect_err("open to others").detail.contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("mode");
        std::fs::write(&path, "short").expect("written");
        assert!(source.read().expect_err("no key").detail.contains("holds no key"));
    }

    #[test]
    fn keys_are_base64_or_hexadecimal() {
        let hex = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
        let base64 = "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=";
        let key = Key::from_text(hex).expect("a key");
        assert_eq!(Key::from_text(&format!(" {base64}\n")).expect("a key").id(), key.id());
        for wrong in ["", "00", &hex[1..], "ABEiM0RVZneImaq7zN3u", &hex.replace('0', "x")] {
            assert!(Key::from_text(wrong).is_none(), "{wrong}");
        }
        assert_eq!(format!("{key:?}"), format!("Key({})", key.id()));
        for wrong in ["", "file:", "env:", "/etc/key", "env:A=B"] {
            assert!(wrong.parse::<KeySource>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_value_opens_under_its_key_for_its_camera_and_not_otherwise() {
        let key = Key::random().expect("a key");
        let (one, two) = (
            key.seal(b"hunter2", "camera a").expect("sealed"),
            key.seal(b"hunter2", "camera a").expect("sealed"),
        );
        assert!(one.nonce != two.nonce && one.text != two.text, "a nonce for each value");
        let open =
            |key: &Key, text: &[u8], about: &str| key.unseal(&one.nonce, text, about).map(|v| v.to_vec());
        assert_eq!(open(&key, &one.text, "camera a"), Some(b"hunter2".to_vec()));
        assert_eq!(open(&key, &one.text, "camera b"), None);
        assert_eq!(open(&Key::random().expect("another"), &one.text, "camera a"), None);
        let mut bent = one.text.clone();
        bent[0] ^= 1;
        assert_eq!(open(&key, &bent, "camera a"), None);
        assert_eq!(key.unseal(b"short", &one.text, "camera a"), None);
        let mark = key.mark().expect("a mark");
        assert!(
            key.made(&mark.nonce, &mark.text)
                && !Key::random().expect("another").made(&mark.nonce, &mark.text)
        );
    }
}
