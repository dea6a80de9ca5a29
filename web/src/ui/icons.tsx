// The signs: drawn here, each a shape of its own, so that none is told by its colour alone.
import type { JSX } from 'preact';

const PATHS: Record<string, JSX.Element> = {
  live: <circle cx="8" cy="8" r="5" fill="currentColor" />,
  waiting: <circle cx="8" cy="8" r="5" fill="none" stroke="currentColor" stroke-width="2" stroke-dasharray="4 3" />,
  standby: <path d="M5 3v10M11 3v10" stroke="currentColor" stroke-width="3" />,
  old: <path d="M8 2 15 14H1z" fill="currentColor" />,
  offline: <path d="M3 3l10 10M13 3 3 13" stroke="currentColor" stroke-width="3" />,
  refused: (
    <g fill="none" stroke="currentColor" stroke-width="2.2">
      <circle cx="8" cy="8" r="6" />
      <path d="M3.8 12.2l8.4-8.4" />
    </g>
  ),
  unknown: <path d="M5 6a3 3 0 1 1 4.5 2.6C8.4 9.2 8 9.7 8 11M8 12.6v2" fill="none" stroke="currentColor" stroke-width="2" />,
  wall: <path d="M2 3h12v10H2zM8 3v10M2 8h12" fill="none" stroke="currentColor" stroke-width="1.6" />,
  link: <path d="M6 10l4-4M7 4.5 9 2.6a3 3 0 0 1 4.3 4.3L11.5 9M4.5 7 2.7 8.9a3 3 0 0 0 4.3 4.3L9 11.5" fill="none" stroke="currentColor" stroke-width="2" />,
  menu: <path d="M2 4h12M2 8h12M2 12h12" stroke="currentColor" stroke-width="2" />,
  empty: <path d="M3 8h10" stroke="currentColor" stroke-width="2" />,
  pin: <path d="M5 2h6l-1 5 3 3H9v5H7v-5H3l3-3z" fill="currentColor" />,
  lock: (
    <g>
      <path d="M5 7V5a3 3 0 0 1 6 0v2" fill="none" stroke="currentColor" stroke-width="2" />
      <rect x="3" y="7" width="10" height="7" rx="1" fill="currentColor" />
    </g>
  ),
  alarm: <path d="M8 1a4 4 0 0 1 4 4v4l2 3H2l2-3V5a4 4 0 0 1 4-4zm-2 12h4a2 2 0 0 1-4 0z" fill="currentColor" />,
  zoom: (
    <g fill="none" stroke="currentColor" stroke-width="2">
      <circle cx="7" cy="7" r="4.5" />
      <path d="M10.5 10.5 15 15" />
    </g>
  ),
  down: <path d="M3 5l5 6 5-6z" fill="currentColor" />,
  right: <path d="M5 3l6 5-6 5z" fill="currentColor" />,
  close: <path d="M3 3l10 10M13 3 3 13" stroke="currentColor" stroke-width="2" />,
  check: <path d="M2 8l4 5 8-10" fill="none" stroke="currentColor" stroke-width="2.4" />,
  play: <path d="M4 2l10 6-10 6z" fill="currentColor" />,
  pause: <path d="M4 2h3v12H4zM9 2h3v12H9z" fill="currentColor" />,
  stop: <rect x="3" y="3" width="10" height="10" fill="currentColor" />,
  undo: <path d="M6 3 2 7l4 4M2 7h8a4 4 0 0 1 0 8H7" fill="none" stroke="currentColor" stroke-width="2" />,
  redo: <path d="M10 3l4 4-4 4M14 7H6a4 4 0 0 0 0 8h3" fill="none" stroke="currentColor" stroke-width="2" />,
  snapshot: (
    <g>
      <path d="M1 4h4l1-2h4l1 2h4v10H1z" fill="none" stroke="currentColor" stroke-width="1.6" />
      <circle cx="8" cy="9" r="2.6" fill="currentColor" />
    </g>
  ),
  spotlight: <path d="M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4" fill="none" stroke="currentColor" stroke-width="2" />,
  swap: <path d="M2 5h10l-3-3M14 11H4l3 3" fill="none" stroke="currentColor" stroke-width="2" />,
  camera: <path d="M1 4h9v8H1zM11 7l4-2v6l-4-2z" fill="currentColor" />,
  plus: <path d="M8 2v12M2 8h12" stroke="currentColor" stroke-width="2" />,
  minus: <path d="M2 8h12" stroke="currentColor" stroke-width="2" />,
};

export type IconName = keyof typeof PATHS;

export function Icon({ name, label }: { name: string; label?: string }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" role={label ? 'img' : undefined} aria-label={label} aria-hidden={label ? undefined : 'true'} focusable="false">
      {PATHS[name] ?? PATHS.empty}
    </svg>
  );
}
