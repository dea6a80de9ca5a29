// A picture that is fetched again and again while somebody can see it, and says when it is old.
import { useEffect, useRef, useState } from 'preact/hooks';
import { exchange, Problem } from '../api/client';

/** Longer than this, no answer is waited for. */
const PATIENCE_MS = 5000;
/** The second picture comes no later than this after the first. */
const SECOND_MS = 3000;

export interface PictureState { url: string | null; at: number; problem: Problem | null }

/** True while the element is in view and the page is not hidden. */
function useVisible(ref: { current: Element | null }): boolean {
  const [visible, setVisible] = useState(false);
  useEffect(() => {
    let inView = false;
    const settle = () => setVisible(inView && document.visibilityState !== 'hidden');
    const observer = new IntersectionObserver((entries) => {
      inView = entries.some((entry) => entry.isIntersecting);
      settle();
    });
    if (ref.current) observer.observe(ref.current);
    document.addEventListener('visibilitychange', settle);
    return () => {
      observer.disconnect();
      document.removeEventListener('visibilitychange', settle);
    };
  }, []);
  return visible;
}

/**
 * Fetches `path` every `every` ms (0: once) while `ref` is in view, one request at a time, beginning after
 * `delay` ms so that what only scrolls past asks for nothing.
 */
export function usePicture(ref: { current: Element | null }, path: string | null, every: number, delay = 0): PictureState {
  const [state, setState] = useState<PictureState>({ url: null, at: 0, problem: null });
  const visible = useVisible(ref);
  const held = useRef<string | null>(null);
  useEffect(() => () => {
    if (held.current) URL.revokeObjectURL(held.current);
  }, []);
  useEffect(() => {
    if (held.current) URL.revokeObjectURL(held.current);
    held.current = null;
    setState({ url: null, at: 0, problem: null });
  }, [path]);
  useEffect(() => {
    if (!path || !visible) return;
    const stop = new AbortController();
    let fetched = 0;
    let timer: ReturnType<typeof setTimeout>;
    const fetchOne = async () => {
      const began = Date.now();
      // A server that has stopped answers nothing, not even that: its last picture must not stand for ever.
      const patience = new AbortController();
      const impatient = setTimeout(() => patience.abort(), PATIENCE_MS);
      const ended = () => patience.abort();
      stop.signal.addEventListener('abort', ended);
      try {
        const response = await exchange('GET', path, { signal: patience.signal, cache: 'no-store' });
        const url = URL.createObjectURL(await response.blob());
        if (held.current) URL.revokeObjectURL(held.current);
        held.current = url;
        setState({ url, at: Date.now(), problem: null });
      } catch (error) {
        if (stop.signal.aborted) return;
        if (held.current) URL.revokeObjectURL(held.current);
        held.current = null;
        // A picture that may not be seen any more goes at once.
        setState({ url: null, at: Date.now(), problem: error instanceof Problem ? error : new Problem(0, 'picture', String(error)) });
      } finally {
        clearTimeout(impatient);
        stop.signal.removeEventListener('abort', ended);
      }
      // The second one sooner: a camera that came back may have sent no key frame yet.
      const wait = fetched++ === 0 ? Math.min(every, SECOND_MS) : every;
      if (every > 0 && !stop.signal.aborted) timer = setTimeout(fetchOne, Math.max(100, wait - (Date.now() - began)));
    };
    timer = setTimeout(fetchOne, delay);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, visible, every]);
  return state;
}
