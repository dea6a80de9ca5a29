//! Passwords: what is asked of them, and their slow hash (argon2id), off the async threads and two
//! at once, so that a rush of logins takes neither the memory nor the cores of the wall.

use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::SaltString;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

use super::secret;
use crate::base::{Kind, Problem, Result, blocking};

/// Memory of one hash in KiB: 64 MiB. With [`PASSES`] and [`LANES`] the second recommended option
/// of RFC 9106, section 4 (Argon2id, t=3, p=4, m=2^16, 128 bits of salt, 256 bits of tag).
const MEMORY: u32 = 1 << 16;
/// Passes over the memory.
const PASSES: u32 = 3;
/// Lanes.
const LANES: u32 = 4;
/// Hashes at once: 128 MiB and two cores at most.
const AT_ONCE: usize = 2;
/// Logins that may wait for their turn; more are told to come back.
const WAITING: usize = 32;
/// Letters of a password at least (NIST SP 800-63B asks for 8, and advises 15).
pub const SHORTEST: usize = 12;
/// Bytes at most: hashing must not become a way to keep the machine busy.
const LONGEST: usize = 1024;
/// Different letters at least.
const DIFFERENT: usize = 5;

/// A password on its way.
pub type Password = secret::Secret;

/// No password has this hash; it costs what a real one costs, so that unknown accounts answer as
/// slowly as known ones.
const NOBODY: &str =
    "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5IGhhcyB0aGlzIQ$bm8gcGFzc3dvcmQgbGVhZHMgdG8gdGhlc2UgYnl0ZXM";

/// Hashes and checks passwords.
#[derive(Debug)]
pub struct Passwords {
    turns: Semaphore,
    waiting: AtomicUsize,
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords { turns: Semaphore::new(AT_ONCE), waiting: AtomicUsize::new(0) }
    }
}

impl Passwords {
    /// Hashes a password (a PHC string, with its salt and parameters).
    pub async fn hash(&self, password: Password) -> Result<String> {
        self.in_turn(move || hash(&password)).await
    }

    /// Whether `password` is the one of `stored`; the same work where nothing is stored.
    pub async fn verify(&self, password: Password, stored: Option<String>) -> Result<bool> {
        self.in_turn(move || {
            let known = stored.is_some();
            let stored = stored.unwrap_or_else(|| NOBODY.into());
            let stored = PasswordHash::new(&stored)
                .map_err(|e| Problem::internal("stored password", e.to_string()))?;
            Ok(argon2()?.verify_password(password.as_bytes(), &stored).is_ok() && known)
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _place = Place::take(&self.waiting)?;
        let _turn = self.turns.acquire().await.map_err(|e| Problem::internal("passwords", e.to_string()))?;
        blocking(work).await
    }
}

/// A place in the queue; given back when the answer is there or nobody waits for it any more.
struct Place<'a>(&'a AtomicUsize);

impl Place<'_> {
    fn take(waiting: &AtomicUsize) -> Result<Place<'_>> {
        let place = Place(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) < WAITING {
            return Ok(place);
        }
        Err(Problem::new(Kind::Unavailable, "login", "many people log in right now; try again in a moment")
            .retry_after(2))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY, PASSES, LANES, Some(32))
        .map_err(|e| Problem::internal("password parameters", e.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str) -> Result<String> {
    let mut salt = [0; 16];
    secret::fill(&mut salt)?;
    let salt = SaltString::encode_b64(&salt).map_err(|e| Problem::internal("salt", e.to_string()))?;
    let hash = argon2()?
        .hash_password(password.as_bytes(), &salt)
        .map_err(|e| Problem::internal("password", e.to_string()))?;
    Ok(hash.to_string())
}

/// Fails where a new password of `name` is too easy to guess, or too long.
pub fn check(name: &str, password: &str) -> Result<()> {
    let bad = |code: &str, text: &str| Err(Problem::invalid("password", text).code(code));
    let lower = password.to_lowercase();
    let name = name.to_lowercase();
    let mut letters: Vec<char> = lower.chars().collect();
    if letters.len() < SHORTEST {
        return bad("password-short", "must have 12 letters or more");
    }
    if password.len() > LONGEST {
        return bad("password-long", "must not have more than 1024 bytes");
    }
    if name.chars().count() >= 3 && lower.contains(&name) {
        return bad("password-name", "must not contain the account's name");
    }
    letters.sort_unstable();
    letters.dedup();
    if letters.len() < DIFFERENT {
        return bad("password-simple", "must have five different letters or more");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_names_its_parameters_and_takes_its_password_only() {
        let passwords = Passwords::default();
        let word = || Password::new("correct horse battery");
        let stored = passwords.hash(word()).await.expect("hashed");
        assert!(stored.starts_with("$argon2id$v=19$m=65536,t=3,p=4$"), "{stored}");
        assert_ne!(stored, passwords.hash(word()).await.expect("hashed"), "salted");
        assert!(passwords.verify(word(), Some(stored.clone())).await.expect("checked"));
        let wrong = Password::new("correct horse batterz");
        assert!(!passwords.verify(wrong, Some(stored)).await.expect("checked"));
        assert!(!passwords.verify(word(), None).await.expect("the stand-in is a valid hash"));
    }

    #[test]
    fn the_stand_in_costs_what_a_real_hash_costs() {
        let (real, stand_in) =
            (hash("correct horse battery").expect("hashed"), PasswordHash::new(NOBODY).expect("valid"));
        let real = PasswordHash::new(&real).expect("valid");
        assert_eq!(
            (real.algorithm, real.version, &real.params),
            (stand_in.algorithm, stand_in.version, &stand_in.params)
        );
        assert_eq!(real.hash.map(|h| h.len()), stand_in.hash.map(|h| h.len()));
    }

    #[tokio::test]
    async fn a_rush_is_told_to_come_back() {
        let passwords = Passwords::default();
        passwords.waiting.store(WAITING, Ordering::Relaxed);
        let problem = passwords.hash(Password::new("correct horse battery")).await.expect_err("full");
        assert!(problem.kind == Kind::Unavailable && problem.retry_after.is_some());
        assert_eq!(passwords.waiting.load(Ordering::Relaxed), WAITING, "its place is given back");
    }

    #[test]
    fn easy_passwords_are_refused() {
        let code = |name, password: &str| check(name, password).err().and_then(|p| p.code);
        assert_eq!(code("anna", "correct horse"), None);
        assert_eq!(code("anna", "correct hor").as_deref(), Some("password-short"));
        assert_eq!(code("anna", "my name is ANNA").as_deref(), Some("password-name"));
        assert_eq!(code("al", "always too long al"), None, "two letters are in most sentences");
        assert_eq!(code("anna", "ababababababab").as_deref(), Some("password-simple"));
        assert_eq!(code("anna", &"abcdefgh".repeat(129)).as_deref(), Some("password-long"));
        assert_eq!(code("anna", "éèêëàâäùûüôö"), None, "twelve letters, more bytes");
    }
}
