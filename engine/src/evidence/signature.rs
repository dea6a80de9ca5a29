//! The file beside a manifest that holds its signature: five lines of text.

use base64ct::{Base64, Encoding};

use super::key::{PublicKey, SigningKeyFile};

/// First line: what it is, and the version of this form.
const TITLE: &str = "vitrail-evidence-signature/1";

/// A signature over the exact bytes of a manifest, and the key that it names.
///
/// No prefix goes before the bytes, so that `openssl pkeyutl -verify -rawin` checks it without this
/// program. What else the same key may sign is told apart by the manifest's own first field, which is
/// among the signed bytes and without which nothing is taken for a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignatureFile {
    pub key_id: String,
    pub public: PublicKey,
    pub signature: [u8; 64],
}

impl SignatureFile {
    pub fn sign(key: &SigningKeyFile, manifest: &[u8]) -> SignatureFile {
        let public = key.public();
        SignatureFile { key_id: public.id(), public, signature: key.sign(manifest) }
    }

    pub fn render(&self) -> String {
        let mut buffer = [0; 96];
        let signature = Base64::encode(&self.signature, &mut buffer).unwrap_or_default();
        let (id, public) = (&self.key_id, self.public.base64());
        format!("{TITLE}\nalgorithm: Ed25519\nkey-id: {id}\npublic-key: {public}\nsignature: {signature}\n")
    }

    /// `None` for anything that [`SignatureFile::render`] would not have written, to the byte.
    pub fn parse(bytes: &[u8]) -> Option<SignatureFile> {
        let text = std::str::from_utf8(bytes).ok()?;
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        let mut signature = [0; 64];
        let found = Base64::decode(value("signature")?, &mut signature).ok()?.len();
        let read = SignatureFile {
            key_id: value("key-id")?.to_owned(),
            public: PublicKey::from_base64(value("public-key")?)?,
            signature,
        };
        (found == signature.len() && read.render() == text).then_some(read)
    }
}
