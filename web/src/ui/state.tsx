// A camera's state as sign, word, age and reason: the same words wherever it is shown.
import type { CameraState } from '../api/types';
import { duration, word } from '../i18n';
import { lookOf } from '../state/cameras';
import { refusalText } from '../state/commands';
import { Icon } from './icons';

export const stateWord = (now: CameraState) => word('state', now.state);

/** The reason in the person's language where it is one of the words of the contract. */
export const reasonText = (now: CameraState) => (now.refusal ? refusalText(now.refusal) : (now.reason ?? ''));

/** How old the newest picture is, where it is not one of now; else nothing. */
export const ageText = (now: CameraState) => (now.age_ms == null || now.state === 'refused' || now.state === 'unknown' ? '' : duration(now.age_ms));

/** Sign and word, and the age of what was seen last where it is not live. */
export function StateMark({ now, aged = now.state !== 'live' && now.state !== 'standby' }: { now: CameraState; aged?: boolean }) {
  const look = lookOf(now);
  const age = aged ? ageText(now) : '';
  return (
    <span class={`mark state-mark tone-${look.tone}`} data-state={now.state}>
      <Icon name={look.icon} />
      <span>{stateWord(now)}{age && ` · ${age}`}</span>
    </span>
  );
}
