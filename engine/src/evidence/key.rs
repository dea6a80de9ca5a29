//! Keys of evidence: Ed25519 pairs in PEM files that OpenSSL reads and writes too (RFC 8410).

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind as Io, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use rand::TryRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::sum::hex;
use crate::base::files::sync_parent;
use crate::base::{Error, ErrorKind, Result};

/// PKCS#8 (RFC 8410, section 7) of an Ed25519 private key, up to its 32 bytes.
const PRIVATE_DER: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
/// SubjectPublicKeyInfo (RFC 8410, section 4) of an Ed25519 public key, up to its 32 bytes.
const PUBLIC_DER: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// Bytes of a key.
const KEY: usize = 32;
/// Larger files are no keys.
const MOST_BYTES: usize = 16 * 1024;

/// A public key: says who signed, if one knows whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a PEM file.
    ///
    /// # Errors
    /// `Config` where it cannot be read or is no Ed25519 public key.
    pub fn read(path: &Path) -> Result<PublicKey> {
        let subject = path.display().to_string();
        let (text, _) = read_small(path)?;
        let text = std::str::from_utf8(&text).unwrap_or_default();
        if text.contains("PRIVATE KEY-----") {
            let remedy =
                "is a private key, which nobody needs to verify; name the public one beside it (.pub)";
            return Err(Error::new(ErrorKind::Config, subject, remedy));
        }
        let key = pem_body(text, "PUBLIC KEY").and_then(PublicKey::from_base64);
        key.ok_or_else(|| Error::new(ErrorKind::Config, subject, "is no Ed25519 public key in PEM"))
    }

    /// SHA-256 of the key's DER (`openssl pkey -pubin -in FILE.pub -outform DER | sha256sum`), in hex.
    pub fn id(&self) -> String {
        hex(&Sha256::digest(self.der()))
    }

    /// The key as a PEM file holds it.
    pub fn pem(&self) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", self.base64())
    }

    /// True where `signature` is this key's over exactly these bytes.
    pub fn signed(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        // The strict form refuses signatures that other bytes or weak keys could share.
        self.0.verify_strict(bytes, &Signature::from_bytes(signature)).is_ok()
    }

    /// The DER of the key in base64: the one line of its PEM file.
    pub fn base64(&self) -> String {
        let mut text = [0; 64];
        Base64::encode(&self.der(), &mut text).map(str::to_owned).unwrap_or_default()
    }

    /// Reads what [`PublicKey::base64`] writes.
    pub fn from_base64(text: &str) -> Option<PublicKey> {
        let mut der = [0; PUBLIC_DER.len() + KEY];
        let der = Base64::decode(text, &mut der).ok()?;
        let key: &[u8; KEY] = der.strip_prefix(&PUBLIC_DER)?.try_into().ok()?;
        VerifyingKey::from_bytes(key).ok().map(PublicKey)
    }

    fn der(&self) -> Vec<u8> {
        [&PUBLIC_DER[..], self.0.as_bytes()].concat()
    }
}

/// A private key and the file that it came from. Guards that the key is shown nowhere: it prints as
/// the file's name alone, and memory that held it is overwritten.
#[derive(Clone)]
pub struct SigningKeyFile {
    path: PathBuf,
    key: Arc<SigningKey>,
}

impl SigningKeyFile {
    /// Makes a new pair: the private key in `path`, which only its owner may read, the public one
    /// beside it, as `path` with `.pub`. Never replaces a file.
    ///
    /// # Errors
    /// `Config` where one of the files is there already; `Io` where they cannot be written.
    pub fn create(path: &Path) -> Result<SigningKeyFile> {
        let public = public_path(path);
        for file in [path, &public] {
            if file.symlink_metadata().is_ok() {
                let remedy = "is there already and is kept; choose another name";
                return Err(Error::new(ErrorKind::Config, file.display().to_string(), remedy));
            }
        }
        let mut seed = Zeroizing::new([0; KEY]);
        rand::rngs::SysRng
            .try_fill_bytes(&mut *seed)
            .map_err(|e| Error::new(ErrorKind::Io, "random numbers", "cannot be had").caused_by(e))?;
        let key = Arc::new(SigningKey::from_bytes(&seed));
        write_new(path, private_pem(&seed).as_bytes(), 0o600)?;
        let made = SigningKeyFile { path: path.to_owned(), key };
        write_new(&public, made.public().pem().as_bytes(), 0o644).inspect_err(|_| {
            let _ = std::fs::remove_file(path);
        })?;
        Ok(made)
    }

    /// Reads a PEM file (PKCS#8 without pass phrase).
    ///
    /// # Errors
    /// `Config` where it cannot be read, others than its owner may read it, or it holds no such key.
    pub fn open(path: &Path) -> Result<SigningKeyFile> {
        let subject = path.display().to_string();
        let refuse = |message: String| Error::new(ErrorKind::Config, subject.clone(), message);
        let (text, mode) = read_small(path)?;
        let text = std::str::from_utf8(&text).unwrap_or_default();
        if text.contains("BEGIN PUBLIC KEY") {
            return Err(refuse("is a public key; to sign, name the private one".into()));
        }
        if mode & 0o077 != 0 {
            let mode = mode & 0o777;
            return Err(refuse(format!(
                "holds a private key and others may use it (mode {mode:o}); chmod 600 it, and make a new key if they did"
            )));
        }
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            return Err(refuse(
                "has a pass phrase, which this program does not ask for; take it off with `openssl pkey`"
                    .into(),
            ));
        }
        let seed = pem_body(text, "PRIVATE KEY").and_then(private_from_base64).ok_or_else(|| {
            refuse("is no Ed25519 private key in PEM (PKCS#8); make one with `vitrail key new`".into())
        })?;
        Ok(SigningKeyFile { path: path.to_owned(), key: Arc::new(SigningKey::from_bytes(&seed)) })
    }

    /// The file of the private key.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key that verifies what this one signs.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.key.verifying_key())
    }

    /// Signs exactly these bytes (pure Ed25519). What is signed must begin with words that say what it is, so
    /// that no other thing that the same key signs can be passed off as it.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).to_bytes()
    }
}

impl fmt::Debug for SigningKeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeyFile({})", self.path.display())
    }
}

/// Where the public key of a private one lies.
pub fn public_path(private: &Path) -> PathBuf {
    let mut path = private.as_os_str().to_owned();
    path.push(".pub");
    path.into()
}

fn private_pem(seed: &[u8; KEY]) -> Zeroizing<String> {
    let mut der = Zeroizing::new([0; PRIVATE_DER.len() + KEY]);
    der[..PRIVATE_DER.len()].copy_from_slice(&PRIVATE_DER);
    der[PRIVATE_DER.len()..].copy_from_slice(seed);
    let mut buffer = Zeroizing::new([0; 64]);
    let body = Base64::encode(&*der, &mut *buffer).unwrap_or_default();
    // As long as it becomes, so that it never moves and leaves a copy behind.
    let mut pem = Zeroizing::new(String::with_capacity(256));
    for part in ["-----BEGIN PRIVATE KEY-----\n", body, "\n-----END PRIVATE KEY-----\n"] {
        pem.push_str(part);
    }
    pem
}

fn private_from_base64(text: &str) -> Option<Zeroizing<[u8; KEY]>> {
    let mut der = Zeroizing::new([0; PRIVATE_DER.len() + KEY]);
    let der = Base64::decode(text, &mut *der).ok()?;
    let mut seed = Zeroizing::new([0; KEY]);
    let key = der.strip_prefix(&PRIVATE_DER).filter(|key| key.len() == KEY)?;
    seed.copy_from_slice(key);
    Some(seed)
}

/// The one line between a PEM file's first and last: Ed25519 keys need no second.
fn pem_body<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let mut lines = text.trim().lines();
    let first = lines.next()?.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
    let body = lines.next()?;
    let last = lines.next()?.strip_prefix("-----END ")?.strip_suffix("-----")?;
    (first == label && last == label && lines.next().is_none()).then_some(body)
}

/// A small file's bytes, overwritten when dropped, and its permissions.
fn read_small(path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32)> {
    let refuse = |message| Error::new(ErrorKind::Config, path.display().to_string(), message);
    let failed = |e: std::io::Error| match e.kind() {
        Io::NotFound => refuse("is not there; `vitrail key new` makes a pair of keys"),
        _ => refuse("cannot be read").caused_by(e),
    };
    // Does not wait at a pipe.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(refuse("is no file"));
    }
    // Room for all of it, so that it never moves and leaves a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST_BYTES + 64));
    file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MOST_BYTES {
        return Err(refuse("is too large for a key"));
    }
    Ok((bytes, about.permissions().mode()))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let failed = |e: std::io::Error| {
        Error::new(ErrorKind::Io, path.display().to_string(), "cannot be written").caused_by(e)
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    let written = file.write_all(bytes).and_then(|()| File::sync_all(&file)).and_then(|()| sync_parent(path));
    written.map_err(|e| {
        let _ = std::fs::remove_file(path);
        failed(e)
    })
}
