//! Why a camera is not shown: the reason as a word, with what it is about.

use serde::Serialize;
use utoipa::ToSchema;

use crate::base::{Problem, Utc};
use crate::people::Language;

/// The reasons, as words. In this order they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The rights cannot be read: nothing is shown.
    Unreadable,
    /// The account is not known or not enabled.
    Account,
    /// The role may not do this, or not for this zone.
    Role,
    /// Under no incident.
    NoIncident,
    /// The incident is not open.
    IncidentClosed,
    /// The camera belongs to no zone.
    NoZone,
    /// The zone has no agreement.
    NoAgreement,
    /// There is a draft that nobody signed.
    NotSigned,
    /// The zone revoked it.
    Revoked,
    /// It begins later.
    NotYetValid,
    /// It has ended.
    Expired,
    /// The zone halted it.
    Suspended,
    /// It is not for the incident's purpose.
    Purpose,
    /// It is not with this unit.
    Unit,
    /// It is not about this camera.
    Camera,
    /// It does not grant this: show, keep, hand out.
    Action,
    /// The audit log cannot be written; said by whoever was to write it.
    Log,
}

impl Code {
    /// All of them.
    pub const ALL: [Code; 17] = [
        Code::Unreadable,
        Code::Account,
        Code::Role,
        Code::NoIncident,
        Code::IncidentClosed,
        Code::NoZone,
        Code::NoAgreement,
        Code::NotSigned,
        Code::Revoked,
        Code::NotYetValid,
        Code::Expired,
        Code::Suspended,
        Code::Purpose,
        Code::Unit,
        Code::Camera,
        Code::Action,
        Code::Log,
    ];

    /// The word on which programs and translations rely.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Unreadable => "unreadable",
            Code::Account => "account",
            Code::Role => "role",
            Code::NoIncident => "no-incident",
            Code::IncidentClosed => "incident-closed",
            Code::NoZone => "no-zone",
            Code::NoAgreement => "no-agreement",
            Code::NotSigned => "not-signed",
            Code::Revoked => "revoked",
            Code::NotYetValid => "not-yet-valid",
            Code::Expired => "expired",
            Code::Suspended => "suspended",
            Code::Purpose => "purpose",
            Code::Unit => "unit",
            Code::Camera => "camera",
            Code::Action => "action",
            Code::Log => "log",
        }
    }

    /// Reads what [`Code::as_str`] writes.
    pub fn parse(word: &str) -> Option<Code> {
        Code::ALL.into_iter().find(|code| code.as_str() == word)
    }
}

/// Why not. The word (`code`) and the fields beside it are what programs and translations rely on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Refusal {
    /// `unreadable`, `account`, `role`, `no-incident`, `incident-closed`, `no-zone`, `no-agreement`,
    /// `not-signed`, `revoked`, `not-yet-valid`, `expired`, `suspended`, `purpose`, `unit`, `camera`,
    /// `action`, `log`.
    pub code: String,
    /// In English, with what matters (zone, date).
    pub text: String,
    /// What it is about.
    #[serde(flatten)]
    pub about: Box<About>,
    /// The next moment at which time alone can change the answer; `Utc::NEVER` where it cannot.
    #[serde(skip)]
    pub until: Utc,
}

/// What a refusal is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RefusalAbout)]
pub struct About {
    /// The zone, where the reason lies there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The agreement that came closest to permitting it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<String>,
    /// The incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// The date that matters: when it begins, ended, was suspended or revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Utc>,
    /// What was asked for and is missing: the purpose, the unit, the action, the camera, the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
}

/// A reason with what it is about, before it is put into words.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // as in Refusal and About
pub struct RefusalReason<'a> {
    pub code: Code,
    pub zone: Option<&'a str>,
    pub agreement: Option<&'a str>,
    pub incident: Option<&'a str>,
    pub at: Option<Utc>,
    pub asked: Option<&'a str>,
    pub until: Utc,
}

impl RefusalReason<'_> {
    /// For this reason; fill the rest in with `..`.
    pub fn of(code: Code) -> RefusalReason<'static> {
        RefusalReason {
            code,
            zone: None,
            agreement: None,
            incident: None,
            at: None,
            asked: None,
            until: Utc::NEVER,
        }
    }
}

impl From<RefusalReason<'_>> for Refusal {
    fn from(because: RefusalReason<'_>) -> Refusal {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Refusal {
            code: because.code.as_str().to_owned(),
            text: super::text::refusal(&because, Language::En),
            about: Box::new(About {
                zone: owned(because.zone),
                agreement: owned(because.agreement),
                incident: owned(because.incident),
                at: because.at,
                asked: owned(because.asked),
            }),
            until: because.until,
        }
    }
}

impl Refusal {
    /// The reason of whoever finds that the audit log cannot be written.
    pub fn log() -> Refusal {
        RefusalReason::of(Code::Log).into()
    }

    /// In a language; English for a word that is not of [`Code`].
    pub fn say(&self, language: Language) -> String {
        let Some(code) = Code::parse(&self.code) else { return self.text.clone() };
        let about = &*self.about;
        let because = RefusalReason {
            code,
            zone: about.zone.as_deref(),
            agreement: about.agreement.as_deref(),
            incident: about.incident.as_deref(),
            at: about.at,
            asked: about.asked.as_deref(),
            until: self.until,
        };
        super::text::refusal(&because, language)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let more = serde_json::to_value(&refusal).unwrap_or_default();
        Problem::refused("right to see", refusal.text).code(refusal.code).more(more)
    }
}
