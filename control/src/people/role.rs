//! The roles, and the one table of what each may do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a person is here. Seeing pictures and governing rights are never in one hand: an
/// administrator sees no camera, an operator signs no agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Works on the walls.
    Operator,
    /// Operates, and answers for incidents, alarm rules and shared layouts.
    Supervisor,
    /// Speaks for zones: their agreements, their cameras. Limited to these zones.
    ZoneAuthority,
    /// Reads the audit log; nothing else.
    Auditor,
    /// Runs the platform: accounts, registry, settings. Sees no pictures.
    Administrator,
}

/// What may be allowed to a role. Every route names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// Know oneself: name, role, language, password.
    Myself,
    /// See the walls' state, pictures and thumbnails.
    ViewWall,
    /// Change what walls show; alarms; tours.
    OperateWall,
    /// Alarm rules, and layouts and tours of others.
    ManageWall,
    /// Snapshots and exports, where the agreement grants it.
    Export,
    /// Move cameras.
    MoveCamera,
    /// Open and read incidents.
    Incident,
    /// Close incidents of others.
    CloseIncident,
    /// Read zones, sites and cameras, without credentials.
    ReadRegistry,
    /// Change zones, sites and cameras (a zone authority: of its zones).
    WriteRegistry,
    /// Read agreements and the state of the zones.
    ReadAgreement,
    /// Draft agreements (a zone authority: of its zones).
    DraftAgreement,
    /// Sign, suspend, resume and revoke agreements of its zones.
    GovernAgreement,
    /// Read, verify and export the audit log (a zone authority: of its zones).
    ReadAudit,
    /// Accounts, and tokens of others.
    ManagePeople,
    /// Counters for monitoring.
    ReadMetrics,
}

impl Permission {
    /// All of them, for tables and tests.
    pub const ALL: [Permission; 16] = [
        Permission::Myself,
        Permission::ViewWall,
        Permission::OperateWall,
        Permission::ManageWall,
        Permission::Export,
        Permission::MoveCamera,
        Permission::Incident,
        Permission::CloseIncident,
        Permission::ReadRegistry,
        Permission::WriteRegistry,
        Permission::ReadAgreement,
        Permission::DraftAgreement,
        Permission::GovernAgreement,
        Permission::ReadAudit,
        Permission::ManagePeople,
        Permission::ReadMetrics,
    ];
}

impl Role {
    /// All of them, for tables and tests.
    pub const ALL: [Role; 5] =
        [Role::Operator, Role::Supervisor, Role::ZoneAuthority, Role::Auditor, Role::Administrator];

    /// The table of what each role may do.
    pub fn allows(self, permission: Permission) -> bool {
        use Permission::*;
        match permission {
            Myself => true,
            ViewWall | OperateWall | Export | MoveCamera | Incident => {
                matches!(self, Role::Operator | Role::Supervisor)
            }
            ManageWall | CloseIncident => self == Role::Supervisor,
            ReadRegistry => self != Role::Auditor,
            WriteRegistry => matches!(self, Role::ZoneAuthority | Role::Administrator),
            ReadAgreement => true,
            DraftAgreement => matches!(self, Role::ZoneAuthority | Role::Administrator),
            GovernAgreement => self == Role::ZoneAuthority,
            ReadAudit => matches!(self, Role::Auditor | Role::ZoneAuthority),
            ManagePeople => self == Role::Administrator,
            ReadMetrics => matches!(self, Role::Administrator | Role::Supervisor),
        }
    }

    /// As it stands in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Operator => "operator",
            Role::Supervisor => "supervisor",
            Role::ZoneAuthority => "zone-authority",
            Role::Auditor => "auditor",
            Role::Administrator => "administrator",
        }
    }

    /// Reads what [`Role::as_str`] writes.
    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }
}
