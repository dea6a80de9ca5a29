// Privacy masks: drawn on the camera's picture by pointer, or set by numbers; burnt in by the server.
import { useRef, useState } from 'preact/hooks';
import { patch } from '../../api/client';
import type { Camera, Rect } from '../../api/types';
import { number, t } from '../../i18n';
import { shapeOf, spanned, WIDE } from '../../layout/geometry';
import { say } from '../../state/notices';
import { Dialog } from '../../ui/dialog';
import { Form } from '../../ui/form';
import { Icon } from '../../ui/icons';
import { Thumbnail } from './picker';

export function MasksDialog({ camera, close, done }: { camera: Camera; close: () => void; done: () => void }) {
  const [masks, setMasks] = useState<Rect[]>(camera.masks);
  const [drawing, setDrawing] = useState<{ x: number; y: number; rect: Rect } | null>(null);
  // The area has the picture's own shape: fractions of the one are fractions of the other.
  const [shape, setShape] = useState(WIDE);
  const box = useRef<HTMLDivElement>(null);
  const at = (event: PointerEvent): [number, number] => {
    const area = box.current!.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
  };
  const edit = (index: number, part: number, text: string) => {
    const percent = Number(text);
    if (!Number.isFinite(percent)) return;
    setMasks(masks.map((mask, i) => (i === index ? (mask.map((v, p) => (p === part ? Math.min(1, Math.max(0, percent / 100)) : v)) as Rect) : mask)));
  };
  const names = [t('mask.left'), t('mask.top'), t('mask.width'), t('mask.height')];
  return (
    <Dialog title={`${t('cameras.masks')} · ${camera.name}`} close={close} wide>
      <p class="hint">{t('mask.hint')}</p>
      <div
        ref={box}
        class="mask-area"
        style={{ '--shape': String(shape) }}
        onPointerDown={(e) => {
          e.currentTarget.setPointerCapture(e.pointerId);
          const [x, y] = at(e);
          setDrawing({ x, y, rect: [x, y, 0, 0] });
        }}
        onPointerMove={(e) => drawing && setDrawing({ ...drawing, rect: spanned(drawing.x, drawing.y, ...at(e)) })}
        onPointerUp={() => {
          if (drawing && drawing.rect[2] > 0.01 && drawing.rect[3] > 0.01) setMasks([...masks, drawing.rect]);
          setDrawing(null);
        }}
      >
        {/* Masks lie on the picture as the camera sends it, however it is turned on walls. */}
        <Thumbnail camera={camera.id} width={640} large asSent seen={(picture) => setShape(shapeOf([picture.naturalWidth, picture.naturalHeight], shape))} />
        {[...masks, ...(drawing ? [drawing.rect] : [])].map(([x, y, w, h], i) => (
          <span key={i} class="mask" style={{ left: `${x * 100}%`, top: `${y * 100}%`, width: `${w * 100}%`, height: `${h * 100}%` }}>{i + 1}</span>
        ))}
      </div>
      <Form
        button={t('common.save')}
        cancel={close}
        cancelText={t('common.cancel')}
        submit={async () => {
          await patch(`/cameras/${encodeURIComponent(camera.id)}`, { masks, version: camera.version });
          say(t('mask.saved'));
          done();
        }}
      >
        <ol class="mask-list">
          {masks.map((mask, i) => (
            <li key={i}>
              {mask.map((value, part) => (
                <label key={part} class="inline"><span>{names[part]}</span><input type="number" min={0} max={100} step="0.5" value={Number(number(value * 100, 1).replace(',', '.'))} onChange={(e) => edit(i, part, e.currentTarget.value)} /></label>
              ))}
              <button type="button" class="small icon-only" aria-label={t('mask.remove', { number: i + 1 })} onClick={() => setMasks(masks.filter((_, j) => j !== i))}><Icon name="close" /></button>
            </li>
          ))}
        </ol>
        <button type="button" onClick={() => setMasks([...masks, [0.4, 0.4, 0.2, 0.2]])}><Icon name="plus" /> {t('mask.add')}</button>
      </Form>
    </Dialog>
  );
}
