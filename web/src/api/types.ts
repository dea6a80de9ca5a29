// The wire shapes of the API, as docs/design/control.md lays them down.

export type Rect = [x: number, y: number, width: number, height: number];

export type Permission =
  | 'myself' | 'view-wall' | 'operate-wall' | 'manage-wall' | 'export' | 'move-camera' | 'incident'
  | 'close-incident' | 'read-registry' | 'write-registry' | 'read-agreement' | 'draft-agreement'
  | 'govern-agreement' | 'read-audit' | 'manage-people' | 'read-metrics';

export type Role = 'operator' | 'supervisor' | 'zone-authority' | 'auditor' | 'administrator';
export const ROLES: Role[] = ['operator', 'supervisor', 'zone-authority', 'auditor', 'administrator'];

export interface Me {
  account: string; name: string; role: Role; zones: string[]; unit: string;
  language: string | null; permissions: Permission[]; csrf: string;
}

export interface Page<T> { items: T[]; next: string | null }

export interface Account {
  id: string; name: string; role: Role; zones: string[]; unit: string; language: string | null;
  enabled: boolean; local?: boolean; created_at: string; last_login: string | null;
}

export interface Token { id: string; name: string; permissions: Permission[] | null; created_at: string; expires_at: string | null; used_at: string | null }
/** `secret` is in the answer to its making only. */
export interface MadeToken extends Token { secret: string }

export interface Zone { id: string; name: string; contact: string | null }
export interface Site { id: string; zone: string; name: string; latitude: number | null; longitude: number | null }

export interface Profile { uri: string; width?: number | null; height?: number | null; frame_rate?: number | null; codec?: string | null; kbps?: number | null }
export interface Camera {
  id: string; name: string; zone: string | null; site: string | null;
  profiles: Record<string, Profile>; latitude: number | null; longitude: number | null;
  scene_width_m: number | null; tags: string[]; masks: Rect[]; priority: number; pinned: boolean; turn?: number; flip?: string;
  transport: string; onvif: string | null; credentials?: boolean; version: number;
}

/** Why something may not be seen: the word is translated, the text is the server's. */
export interface Refusal { code: string; text: string }

/** How a camera stands. `tiles`: those that show it. */
export interface CameraState {
  /** `live`, `waiting`, `stalled`, `frozen`, `delayed`, `undecodable`, `offline`, `refused`, `standby`, `connecting`. */
  state: string; reason?: string | null; refusal?: Refusal | null; age_ms?: number | null; tiles?: string[];
}

/** Its camera's state is in [`WallState.states`]. */
export interface WallTile {
  id: string; rect: Rect; camera: string | null; name: string | null; zone: string | null;
  profile: string | null; effort: string | null; degraded: boolean; pinned: boolean; locked: boolean; alarm: boolean; spotlight: boolean;
  px_per_m: number | null; level: string | null;
}

export interface WallScreen {
  id: string; x: number; y: number; width: number; height: number; fps: number; viewers: number;
  /** How far below what was asked for: `as-asked`, `faster-preset`, `half-rate`, `quarter-rate`. Pictures a second. */
  step: string; degraded: boolean; rate: number; asked_fps: number;
  /** Since the start: too late for them, and no time for them. */
  missed: number; dropped: number; lately: Losses;
  trouble: string | null; tiles: WallTile[];
}

export interface Losses { missed: number; dropped: number }

/** CPU seconds a second. */
export interface Machine {
  cores: number; used: number; others: number; decoding_available: number; decoding_demand: number; decoding_deserved: number;
  room: 'has-room' | 'nearly-full' | 'full'; because: string[];
}

export interface Alarm {
  id: number; camera: string; kind: string; text: string; at: string; by: string;
  acknowledged_by: string | null; acknowledged_at: string | null; called: string[];
}

/** Cameras in turn, as many at once as there are tiles. */
export interface Tour { id: string; owner: string; name: string; dwell_s: number; tiles: string[]; cameras: string[] }
export interface TourState { id: string; name: string; state: 'running' | 'paused' | 'stopped'; paused_by: string | null; turn: number; next_at: string | null; trouble: string | null }

export interface Incident {
  id: string; title: string; reason: string; legal_basis: string; reference: string; purpose: string;
  legal_text?: string | null; opened_name?: string; closed_by?: string | null;
  opened_by: string; opened_at: string; state: 'open' | 'closing' | 'closed'; ends_at: string | null; closed_at: string | null;
}

export interface WallState {
  wall: string; unit: string; incident: string | null; log_ok: boolean; log_trouble: string | null; version: number;
  screens: WallScreen[]; machine: Machine; cameras: { known: number; open: number; live: number; dark: number };
  states: Record<string, CameraState>;
  alarms: Alarm[]; tours: TourState[];
}

export type Fit = 'contain' | 'cover' | 'stretch';
export interface LayoutTile {
  id: string; camera: string | null; at: Rect | null; pinned: boolean; locked: boolean;
  fit: Fit; crop: Rect | null; by: string | null;
}
export interface Region { id: string; screens: string[]; arrangement: string; spotlight?: string | null; tiles: LayoutTile[] }
export interface Layout { version: number; incident: string | null; by: string | null; at: string | null; regions: Region[] }

export type Change =
  | { op: 'show'; tile: string; camera: string }
  | { op: 'clear'; tile: string }
  | { op: 'swap'; a: string; b: string }
  | { op: 'pin'; tile: string; pinned: boolean }
  | { op: 'lock'; tile: string; locked: boolean }
  | { op: 'crop'; tile: string; crop: Rect | null }
  | { op: 'fit'; tile: string; fit: Fit }
  | { op: 'arrange'; region: string; arrangement: string }
  | { op: 'place'; tile: string; at: Rect | null }
  | { op: 'spotlight'; tile: string; on: boolean }
  | { op: 'span'; screens: string[]; arrangement: string }
  | { op: 'unspan'; region: string };

export interface RefusedTile { tile: string; camera: string; refusal: Refusal }
export interface ChangesAnswer { layout: Layout; refused: RefusedTile[] }

/** What would come of changes. */
export type Admission =
  | { admission: 'fits'; spare: number }
  | { admission: 'degraded'; cameras: { camera: string; step: string }[]; screens: { screen: string; step: string }[] }
  | { admission: 'does-not-fit'; missing: number; paused: string[] };

export interface Showing { screen: string; tile: string | null; camera: string; zone: string | null }
export interface Closing { incident: Incident; ends: Showing[] }

export interface SavedLayout { id: string; name: string; owner: string; at: string; regions: Region[] }

/** A word of a list of the law, in three languages. */
export interface Term { word: string; en: string; fr: string; nl: string }

export type AgreementState = 'draft' | 'signed' | 'suspended' | 'revoked' | 'withdrawn';
export interface StepTaken { at: string; by: string; name: string; what: string; reason?: string | null }
export interface Agreement {
  id: string; zone: string; title: string; parties: string[]; purposes: string[];
  live: boolean; record: boolean; export: boolean; units: string[]; tags: string[];
  valid_from: string; valid_to: string; state: AgreementState; since?: string; why?: string | null; in_force: boolean; version: number;
  replaces?: string | null; replaced_by?: string | null; ends_at?: string | null;
  drafted_by: string; drafted_at?: string; signed_by: string | null; signed_at: string | null; history?: StepTaken[];
}
export type Standing = 'in-force' | 'suspended' | 'not-yet-valid' | 'draft' | 'expired' | 'revoked' | 'none';
export interface ZoneState {
  zone: string; name: string; state: Standing; until: string | null; live: boolean; record: boolean; export: boolean;
  purposes: string[]; units: string[]; in_force: string[]; suspended: { agreement: string; since: string; why: string | null }[];
  coming: string[]; drafts: string[];
}

export interface Actor { account: string; name: string; role?: string | null; via: string; address?: string | null }
export interface AuditEvent {
  kind: string; zone?: string; camera?: string; screen?: string; incident?: string; agreement?: string;
  subject?: string; basis?: string; reason?: string; details?: unknown;
}
export interface AuditRecord { seq: number; at: string; by: Actor; event: AuditEvent }
export interface Findings {
  verdict: string; records: number; first: number | null; last: number | null; from: string | null; to: string | null;
  signatures: number; file_signatures: number; key_id: string | null; faults: Record<string, unknown>[]; faults_total: number;
}

export interface AlarmRule { id: string; kind: string; camera: string | null; zone: string | null; show: string[]; tiles: string[]; spotlight: boolean }
export interface ImportReport {
  dry_run: boolean; added_count: number; changed_count: number; removed_count: number; unchanged_count: number; left_out_count: number;
  left_out: { row: number | null; key: string; message: string }[];
}
/** A device that answered on the network. */
export interface Found { endpoint: string; from: string; addresses: string[]; name: string | null; hardware: string | null; location: string | null }
/** What a device says of itself and its streams. */
export interface Streams { onvif: string; about: { manufacturer: string | null; model: string | null }; profiles: (Partial<Profile> & { token: string; name: string })[] }
