//! One error type: what went wrong, with which camera, key or file, and what to do about it.

use std::borrow::Cow;
use std::fmt;

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of trouble, so that a caller can act on it. Mapped once to exit codes and states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The configuration is wrong; nothing was started.
    Config,
    /// The other side is not there, or the connection ended.
    Unreachable,
    /// Wrong user name or password.
    Credentials,
    /// The camera has no session left for us; the password may be right.
    SessionLimit,
    /// The right to see this camera is missing or was withdrawn.
    NotGranted,
    /// A codec, profile, chroma format or protocol that this machine cannot handle.
    Unsupported,
    /// What arrived is damaged.
    Corrupt,
    /// A part of this machine is missing: a library, an element, a device.
    Missing,
    /// The disk, the network or the operating system refused.
    Io,
    /// A fault of our own.
    Internal,
}

impl ErrorKind {
    /// True where trying again without a change can help.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unreachable | Self::SessionLimit | Self::Corrupt | Self::Io)
    }

    /// The process exit code: 2 for configuration, 3 for missing parts, 4 for I/O, 1 for the rest.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Config => 2,
            Self::Missing | Self::Unsupported => 3,
            Self::Io | Self::Unreachable => 4,
            Self::Credentials | Self::SessionLimit | Self::NotGranted => 5,
            Self::Corrupt | Self::Internal => 1,
        }
    }
}

/// An error for the person who can act: subject (camera, key, file), what happened, the cause.
///
/// Guards that no credential is shown: build messages from URIs only through
/// [`crate::source::uri::Redacted`].
#[derive(Debug, thiserror::Error)]
pub struct Error {
    kind: ErrorKind,
    subject: Cow<'static, str>,
    message: Cow<'static, str>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error about `subject`; `message` says what happened and, where it can, what to do.
    pub fn new(
        kind: ErrorKind,
        subject: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Error { kind, subject: subject.into(), message: message.into(), source: None }
    }

    /// The same error with its cause.
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of trouble it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whom or what it concerns: a camera, a key, a file.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What happened, without the subject.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.subject.is_empty() {
            write!(f, "{}", self.message)?;
        } else {
            write!(f, "{}: {}", self.subject, self.message)?;
        }
        if let Some(source) = &self.source {
            write!(f, " ({source})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_whom_what_and_why() {
        let error = Error::new(ErrorKind::Io, "wall.mp4", "cannot be written; free some space")
            .caused_by(std::io::Error::other("disk full"));
        assert_eq!(error.to_string(), "wall.mp4: cannot be written; free some space (disk full)");
        assert!(error.kind().is_transient());
        assert_eq!(error.kind().exit_code(), 4);
    }
}
