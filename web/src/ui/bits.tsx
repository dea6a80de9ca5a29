// Small things that several pages use.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { t } from '../i18n';
import { dismiss, notices } from '../state/notices';
import { Icon } from './icons';

export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map((notice) => (
        <div key={notice.id} class={`notice tone-${notice.tone}`}>
          <Icon name={notice.tone === 'good' ? 'check' : notice.tone === 'warn' ? 'old' : 'offline'} />
          <span>{notice.text}</span>
          <button type="button" class="quiet icon-only" aria-label={t('common.dismiss')} onClick={() => dismiss(notice.id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}

/** A mark with a word: the shape and the word tell it, the colour only helps. */
export function Mark({ tone, icon, children }: { tone: string; icon: string; children: ComponentChildren }) {
  return (
    <span class={`mark tone-${tone}`}>
      <Icon name={icon} />
      <span>{children}</span>
    </span>
  );
}

/** The time of now, anew every `ms`. */
export function useNow(ms = 1000): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), ms);
    return () => clearInterval(timer);
  }, [ms]);
  return now;
}

/** The size of a letter in pixels: it follows the window, and whoever makes letters larger. */
export function useRem(): number {
  const read = () => parseFloat(getComputedStyle(document.documentElement).fontSize);
  const [rem, setRem] = useState(read);
  useEffect(() => {
    const look = () => setRem(read());
    window.addEventListener('resize', look);
    return () => window.removeEventListener('resize', look);
  }, []);
  return rem;
}

/** A countdown as minutes and seconds. */
export function clockText(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** Runs `read` at the start and whenever `again` changes; what fails is said by `read` itself. */
export function useReading(read: () => Promise<unknown>, again: readonly unknown[] = []) {
  useEffect(() => {
    void read();
  }, [...again]);
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="nothing">{children}</p>;
}
