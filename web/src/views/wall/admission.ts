// What the machine cannot give: which cameras and screens get less than they should.
import type { Admission, WallScreen } from '../../api/types';
import { byId } from '../../state/registry';

/** `FewerKeyFrames(3)` is `fewer-key-frames`. */
export const stepWord = (step: string) => step.replace(/\W.*$/, '').replace(/([a-z])([A-Z])/g, '$1-$2').toLowerCase();

export interface Lesser { key: string; name: string; step: string }

/** All that gets less, the screens first: each holds many cameras. */
export function lesser(admission: Extract<Admission, { admission: 'degraded' }>): Lesser[] {
  return [
    ...admission.screens.map(({ screen, step }) => ({ key: `screen ${screen}`, name: screen, step })),
    ...admission.cameras.map(({ camera, step }) => ({ key: `camera ${camera}`, name: byId.value.get(camera)?.name ?? camera, step: stepWord(step) })),
  ];
}

/** A faster preset hardly anybody sees; fewer pictures everybody does. */
export const isSlower = (screen: Pick<WallScreen, 'degraded' | 'step'>) => screen.degraded && screen.step !== 'faster-preset';
