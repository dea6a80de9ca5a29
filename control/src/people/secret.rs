//! Secrets that are handed out once: 256 random bits, of which only a SHA-256 is kept. Nobody can
//! guess one, so a slow hash would add nothing; whoever reads the database cannot use one.

use base64ct::{Base64UrlUnpadded, Encoding};
use rand::TryRng;
use rand::rngs::SysRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::base::{Problem, Result, hex};

/// A password, or a secret on its way out: gone from memory after use, and shown by no `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret over.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }
}

impl std::ops::Deref for Secret {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        s.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(d).map(Secret::new)
    }
}

/// SHA-256 of a secret: what the database keeps, and looks it up by.
pub type Hash = [u8; 32];

/// 256 random bits of the operating system: 43 letters of base64url.
pub fn make() -> Result<Secret> {
    let mut bytes = Zeroizing::new([0; 32]);
    fill(&mut *bytes)?;
    Ok(Secret::new(Base64UrlUnpadded::encode_string(&*bytes)))
}

/// Fills `bytes` from the operating system's source of randomness.
pub fn fill(bytes: &mut [u8]) -> Result<()> {
    SysRng.try_fill_bytes(bytes).map_err(|e| Problem::internal("randomness", e.to_string()))
}

/// What is kept of a secret.
pub fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

/// The public part of a secret's id: 64 bits of its hash, which say nothing of the secret.
pub fn public_id(kind: char, hash: &Hash) -> String {
    format!("{kind}-{}", hex(&hash[..8]))
}

/// What a page must send with its changes. It follows from the session's secret and does not lead
/// back to it; nothing of it is stored.
pub fn csrf(session: &str) -> String {
    let hash = Sha256::new().chain_update(b"vitrail csrf\0").chain_update(session.as_bytes()).finalize();
    Base64UrlUnpadded::encode_string(&hash)
}

/// Whether two texts are equal, in a time that does not tell where they differ.
pub fn equal(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_differ_and_lead_to_what_is_public_only() {
        let (a, b) = (make().expect("random"), make().expect("random"));
        assert_eq!(a.len(), 43);
        assert_ne!(*a, *b);
        assert!(!format!("{a:?}").contains(&*a));
        let id = public_id('s', &hash(&a));
        assert!(id.len() == 18 && id.starts_with("s-") && !a.contains(&id[2..]));
        assert_ne!(csrf(&a), csrf(&b));
        assert!(equal(&csrf(&a), &csrf(&a)) && !equal(&csrf(&a), &csrf(&b)) && !equal("", "a"));
    }
}
