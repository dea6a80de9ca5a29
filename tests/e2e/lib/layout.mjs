// Whether a page can be used at a size: nothing lies over anything else, nothing is cut, nothing needs two scrolls.
import assert from 'node:assert/strict';

/** A phone, a tablet, a laptop, a desk, a wall. */
export const SIZES = [
  { width: 390, height: 844 },
  { width: 1024, height: 768 },
  { width: 1366, height: 768 },
  { width: 1920, height: 1080 },
  { width: 3840, height: 2160 },
];

/** Fails with everything that is wrong with the page as it stands now. */
export async function laidOut(page, where) {
  const { checked, wrong } = await page.evaluate(look);
  assert.ok(checked > 5, `only ${checked} elements were looked at on ${where}`);
  assert.deepEqual(wrong, [], `${where}:\n${wrong.join('\n')}\n`);
}

/* Runs in the page. */
function look() {
  const ACTS = 'a[href], button, input, select, textarea, summary, [role="button"], [role="tree"], [role="listbox"], [role="treeitem"], [role="option"]';
  const PARTS = 'header, nav, main > *, aside > *, section, form, table, h1, h2, h3, p, li, td, dt, dd, [role="region"], [role="group"], [role="status"], .stage, .tile-line';
  // What lies over other things on purpose: a person called it up, or it is gone in seconds.
  const OVER = '.notices, .ghost, .unseen, .skip, dialog, nav.open';
  // What lies at places of the world, or of a picture, is where it is.
  const PLACED = '.map *, .plane *, .tiles, .tiles *, .standing, .live';
  const wrong = new Set();
  const [W, H] = [innerWidth, innerHeight];
  const name = (e) => {
    const text = (e.getAttribute('aria-label') ?? e.textContent ?? '').trim().replace(/\s+/g, ' ').slice(0, 40);
    return `<${e.localName}${e.className && typeof e.className === 'string' ? `.${e.className.trim().split(/\s+/).join('.')}` : ''}${text ? ` "${text}"` : ''}>`;
  };
  const box = (e) => {
    const { left, top, right, bottom } = e.getBoundingClientRect();
    return { left, top, right, bottom };
  };
  const cut = (a, b) => ({ left: Math.max(a.left, b.left), top: Math.max(a.top, b.top), right: Math.min(a.right, b.right), bottom: Math.min(a.bottom, b.bottom) });
  const seen = (r) => r.right - r.left > 1 && r.bottom - r.top > 1;
  const scrolls = (e, style) => ['auto', 'scroll'].includes(style.overflowY) && e.scrollHeight > e.clientHeight + 1;
  const dialog = document.querySelector('dialog[open]');
  const within = dialog ?? document.body;
  const shown = (e) => (dialog ? true : !e.closest(OVER)) && e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && seen(box(e));

  /** The part of an element that is in sight; says what of it can never be brought there. */
  const inSight = (e) => {
    let rect = box(e);
    let above = false;
    for (let up = e.parentElement; up; up = up.parentElement) {
      const style = getComputedStyle(up);
      if (style.overflowX === 'visible' && style.overflowY === 'visible') continue;
      const port = box(up);
      const whole = rect;
      rect = cut(rect, port);
      if (whole.left < port.left - 1.5 || whole.right > port.right + 1.5) above = true;
      if (!scrolls(up, style) && (whole.top < port.top - 1.5 || whole.bottom > port.bottom + 1.5)) above = true;
      // What is scrolled away is brought back by that one scroll.
      if (scrolls(up, style)) return { rect: cut(rect, { left: 0, top: 0, right: W, bottom: H }), lost: above };
    }
    const all = { left: -1.5, top: -1.5, right: W + 1.5, bottom: H + 1.5 };
    if (rect.left < all.left || rect.top < all.top || rect.right > all.right || rect.bottom > all.bottom) above = true;
    return { rect, lost: above };
  };

  const root = document.scrollingElement;
  if (root.scrollWidth > W + 1 || root.scrollHeight > H + 1) wrong.add(`the page itself scrolls: ${root.scrollWidth}x${root.scrollHeight} in ${W}x${H}`);

  for (const e of within.querySelectorAll('*')) {
    if (e.closest('.map') || !shown(e)) continue;
    const style = getComputedStyle(e);
    if (['auto', 'scroll'].includes(style.overflowX) && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0) wrong.add(`scrolls sideways: ${name(e)} ${e.scrollWidth} in ${e.clientWidth}`);
    if (scrolls(e, style)) {
      for (let up = e.parentElement; up; up = up.parentElement) if (scrolls(up, getComputedStyle(up))) wrong.add(`scrolls within ${name(up)}, which scrolls too: ${name(e)}`);
    }
    // Text that does not fit: only where the whole of it can be had.
    const letters = [...e.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (letters && style.overflowX !== 'visible' && e.scrollWidth > e.clientWidth + 1 && style.overflowX !== 'auto' && !e.closest('[title], .unseen, .lines')) wrong.add(`its text is cut: ${name(e)} ${e.scrollWidth} in ${e.clientWidth}`);
  }

  // In a list that goes on, rows are cut at its edges; what a row says of its camera's state never is.
  for (const mark of within.querySelectorAll('.lines .state-mark')) {
    const [inner, row] = [box(mark), box(mark.closest('.line'))];
    if (inner.top < row.top - 1 || inner.bottom > row.bottom + 1 || mark.scrollWidth > mark.clientWidth + 1) wrong.add(`its state is cut: ${name(mark)}`);
  }

  const acts = [...within.querySelectorAll(ACTS)].filter((e) => shown(e) && !e.closest('.map, .leaflet-container'));
  const said = [...within.querySelectorAll('*')].filter((e) => [...e.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) && !e.closest('option, .map'));
  const parts = [...new Set([...within.querySelectorAll(PARTS), ...said])].filter((e) => shown(e) && !e.matches(PLACED));
  const boxes = new Map();
  for (const e of new Set([...acts, ...parts])) {
    const { rect, lost } = inSight(e);
    if (lost && !e.closest('.lines')) wrong.add(`is cut: ${name(e)} ${JSON.stringify(box(e), (_, v) => (typeof v === 'number' ? Math.round(v) : v))}`);
    if (seen(rect)) boxes.set(e, rect);
  }
  const apart = (a, b) => a.contains(b) || b.contains(a);
  const overlaps = (list) => {
    for (let i = 0; i < list.length; i++) {
      for (let j = i + 1; j < list.length; j++) {
        const [a, b] = [list[i], list[j]];
        const both = cut(boxes.get(a), boxes.get(b));
        if (both.right - both.left > 2 && both.bottom - both.top > 2 && !apart(a, b)) wrong.add(`overlap: ${name(a)} and ${name(b)}`);
      }
    }
  };
  overlaps(parts.filter((e) => boxes.has(e)));
  overlaps(acts.filter((e) => boxes.has(e) && !e.matches(PLACED)));
  // What is pressed is what is seen there.
  for (const e of acts) {
    const rect = boxes.get(e);
    if (!rect) continue;
    const at = document.elementFromPoint((rect.left + rect.right) / 2, (rect.top + rect.bottom) / 2);
    const other = at && !e.contains(at) && !at.contains(e) && !(at.closest('label')?.contains(e)) && !(e.matches('[data-tile]') && at.closest('[data-tile]'));
    if (other) wrong.add(`lies under ${name(at)}: ${name(e)}`);
  }
  return { checked: boxes.size, wrong: [...wrong].slice(0, 40) };
}
