//! A user name and a password, the one type for them.

use std::fmt;

/// A user name and a password; prints neither (invariant 7).
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_shows_nothing() {
        let login = Login { user: "operator".into(), password: "hush".into() };
        assert_eq!(format!("{:?}", Some(login)), "Some(Login(…))");
    }
}
