//! The arithmetic of the chain: digests, hashes, signed heads. Pure; `docs/ref/audit.md` says it byte for byte.

use base64ct::{Base64, Encoding};
use rand::TryRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use vitrail_engine::evidence::{PublicKey, SigningKeyFile};

use crate::base::{Problem, Result, Utc, hex};

/// A SHA-256 sum.
pub type Hash = [u8; 32];
/// Random bytes that go before a body: with them nobody can find a body by trying what it may have been.
pub type Salt = [u8; 16];

/// The hash before the first record.
pub const START: Hash = [0; 32];
/// First line of what a head's signature covers.
const TITLE: &str = "vitrail-audit-head/1";

/// A new salt.
pub(crate) fn salt() -> Result<Salt> {
    let mut salt = Salt::default();
    rand::rngs::SysRng
        .try_fill_bytes(&mut salt)
        .map_err(|e| Problem::internal("random numbers", format!("cannot be had: {e}")))?;
    Ok(salt)
}

/// What stands for a record in the chain, also where its body is withheld.
pub fn digest(salt: &[u8], body: &[u8]) -> Hash {
    Sha256::new().chain_update(salt).chain_update(body).finalize().into()
}

/// The hash of a record: over the hash of the one before, and its own digest.
pub fn link(previous: &Hash, digest: &Hash) -> Hash {
    Sha256::new().chain_update(previous).chain_update(digest).finalize().into()
}

/// The log as it stood after a record, signed: this record, and through the chain every one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Head {
    /// The record.
    pub seq: i64,
    /// When it was signed.
    pub at: Utc,
    /// The hash of that record, 64 hexadecimal digits.
    #[serde(with = "in_hex")]
    #[schema(value_type = String)]
    pub hash: Hash,
    /// `commit`, or as a checkpoint `start`, `stop`, `count` (so many records), `hour`. Not signed.
    pub why: String,
    /// The key that signed: SHA-256 of its public key (DER), in hexadecimal.
    pub key_id: String,
    /// Ed25519, base64.
    pub signature: String,
}

impl Head {
    /// Signs.
    pub fn sign(signer: &Signer, seq: i64, at: Utc, hash: Hash, why: &str) -> Head {
        let mut head =
            Head { seq, at, hash, why: why.into(), key_id: signer.id.clone(), signature: String::new() };
        let mut buffer = [0; 96];
        let signature = signer.key.sign(head.statement().as_bytes());
        head.signature = Base64::encode(&signature, &mut buffer).unwrap_or_default().into();
        head
    }

    /// The bytes that are signed: four lines, each with its end.
    pub fn statement(&self) -> String {
        format!("{TITLE}\n{}\n{}\n{}\n", self.seq, self.at, hex(&self.hash))
    }

    /// True where `key` signed exactly this.
    pub fn signed_by(&self, key: &PublicKey) -> bool {
        let mut signature = [0; 64];
        Base64::decode(&self.signature, &mut signature).is_ok_and(|s| s.len() == 64)
            && key.signed(self.statement().as_bytes(), &signature)
    }
}

/// A private key, and what it is called.
#[derive(Clone, Debug)]
pub struct Signer {
    key: SigningKeyFile,
    /// Id of the public key, as it stands in signatures.
    pub id: String,
}

impl Signer {
    /// Signs with this key.
    pub fn new(key: SigningKeyFile) -> Signer {
        Signer { id: key.public().id(), key }
    }

    /// The key that verifies.
    pub fn public(&self) -> PublicKey {
        self.key.public()
    }
}

/// Hashes in JSON.
pub(crate) mod in_hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::base::{hex, unhex};

    pub fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(d: D) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(d)?;
        unhex(&text).ok_or_else(|| D::Error::custom(format!("{} hexadecimal digits are expected", 2 * N)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_those_of_the_page() {
        // The example of docs/ref/audit.md; made with printf and sha256sum.
        let (salt, body) = ([0u8; 16], br#"{"seq":1}"#);
        let digest = digest(&salt, body);
        let page = include_str!("../../../docs/ref/audit.md");
        assert!(page.contains(&hex(&digest)), "{}", hex(&digest));
        assert!(page.contains(&hex(&link(&START, &digest))), "{}", hex(&link(&START, &digest)));
    }
}
