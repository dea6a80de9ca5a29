// The cameras where they stand. No map pictures are loaded from anywhere: zones are the hulls of their cameras,
// with a graticule and a scale.
import { render } from 'preact';
import L from 'leaflet';
import 'leaflet/dist/leaflet.css';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import Supercluster from 'supercluster';
import { language, t } from '../../i18n';
import type { CameraState } from '../../api/types';
import { Icon } from '../../ui/icons';
import { hull } from '../../layout/geometry';
import { zoneName, type Row } from '../../state/registry';
import { cameraNow, lookOf, shownOn, statesText } from '../../state/cameras';
import { stateWord } from '../../ui/state';
import { may } from '../../state/session';
import { startDrag } from '../wall/hand';

const DEEPEST = 18;

export function CameraMap({ list, take, chosen }: { list: Row[]; take: (row: Row) => void; chosen: string | null }) {
  const box = useRef<HTMLDivElement>(null);
  const map = useRef<L.Map | null>(null);
  const fitted = useRef(false);
  const marks = useRef<L.LayerGroup | null>(null);
  const ground = useRef<L.LayerGroup | null>(null);
  const placed = useMemo(() => list.filter((row) => row.latitude !== null && row.longitude !== null), [list]);
  const clusters = useMemo(() => {
    const index = new Supercluster<{ row: Row }>({ radius: 60, extent: 256, maxZoom: DEEPEST - 1 });
    index.load(placed.map((row) => ({ type: 'Feature', properties: { row }, geometry: { type: 'Point', coordinates: [row.longitude!, row.latitude!] } })));
    return index;
  }, [placed]);
  const here = useRef({ clusters, take, chosen });
  here.current = { clusters, take, chosen };

  useLayoutEffect(() => {
    if (!box.current) return;
    const made = L.map(box.current, { attributionControl: false, trackResize: false, zoomControl: true, maxZoom: DEEPEST, minZoom: 3, zoomSnap: 0.5, fadeAnimation: false, zoomAnimation: false, markerZoomAnimation: false });
    made.setView([50.85, 4.35], 11);
    L.control.scale({ imperial: false }).addTo(made);
    ground.current = L.layerGroup().addTo(made);
    marks.current = L.layerGroup().addTo(made);
    const lines = L.layerGroup().addTo(made);
    const draw = () => {
      drawGraticule(made, lines);
      drawMarks(made, marks.current!, here.current);
    };
    made.on('moveend', draw);
    map.current = made;
    const observer = new ResizeObserver(() => made.invalidateSize({ animate: false }));
    observer.observe(box.current);
    draw();
    return () => {
      observer.disconnect();
      made.remove();
      map.current = null;
    };
  }, []);

  useLayoutEffect(() => {
    const made = map.current;
    if (!made || !ground.current || !marks.current) return;
    drawZones(ground.current, placed);
    if (!fitted.current && placed.length > 0) {
      fitted.current = true;
      made.fitBounds(L.latLngBounds(placed.map((row) => [row.latitude!, row.longitude!])).pad(0.08), { animate: false });
    }
    drawMarks(made, marks.current, here.current);
  }, [placed, chosen, shownOn.value, statesText.value, language.value]);

  return (
    <div class="map-box">
      <div ref={box} class="map" role="region" aria-label={t('cameras.map')} />
      {placed.length < list.length && <p class="sub">{t('cameras.withoutPlace', { count: list.length - placed.length })}</p>}
    </div>
  );
}

function drawZones(group: L.LayerGroup, placed: Row[]) {
  group.clearLayers();
  const zones = new Map<string, Row[]>();
  for (const row of placed) {
    if (!row.zone) continue;
    const members = zones.get(row.zone);
    if (members) members.push(row);
    else zones.set(row.zone, [row]);
  }
  for (const [zone, members] of zones) {
    const edge = hull(members.map((row) => [row.longitude!, row.latitude!]));
    if (edge.length < 3) continue;
    L.polygon(edge.map(([lng, lat]) => [lat, lng]), { className: 'zone-hull', interactive: false, weight: 1.5, fillOpacity: 0.1 }).addTo(group);
    // Above the zone, where no mark of its own hides it.
    const [lng, lat] = edge.reduce((top, point) => (point[1] > top[1] ? point : top));
    const name = document.createElement('span');
    name.textContent = zoneName(zone);
    L.tooltip({ permanent: true, direction: 'top', offset: [0, -20], className: 'zone-label' }).setLatLng([lat, lng]).setContent(name).addTo(group);
  }
}

/** Lines of latitude and longitude, about 90 pixels apart. */
function drawGraticule(map: L.Map, group: L.LayerGroup) {
  group.clearLayers();
  const bounds = map.getBounds();
  const span = bounds.getEast() - bounds.getWest();
  const steps = [10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
  const step = steps.find((s) => span / s >= map.getSize().x / 140) ?? 0.001;
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const style = { className: 'graticule', interactive: false, weight: 1 };
  const label = (at: [number, number], text: string) =>
    L.marker(at, { interactive: false, keyboard: false, icon: L.divIcon({ className: 'graticule-label', html: text, iconSize: [60, 14], iconAnchor: [-3, 7] }) }).addTo(group);
  for (let x = Math.ceil(bounds.getWest() / step) * step; x <= bounds.getEast(); x += step) {
    L.polyline([[bounds.getSouth(), x], [bounds.getNorth(), x]], style).addTo(group);
    label([bounds.getNorth() - (bounds.getNorth() - bounds.getSouth()) * 0.03, x], `${x.toFixed(digits)}°`);
  }
  for (let y = Math.ceil(bounds.getSouth() / step) * step; y <= bounds.getNorth(); y += step) {
    L.polyline([[y, bounds.getWest()], [y, bounds.getEast()]], style).addTo(group);
    label([y, bounds.getWest()], `${y.toFixed(digits)}°`);
  }
}

const SIGNS = new Map<string, string>();

/** The sign of a state, as in every other view; nothing where nothing is known. */
function sign(now: CameraState | null): string {
  const icon = now && lookOf(now).icon;
  if (!icon) return '';
  let drawn = SIGNS.get(icon);
  if (drawn === undefined) {
    const box = document.createElement('span');
    render(<Icon name={icon} />, box);
    SIGNS.set(icon, (drawn = box.innerHTML));
  }
  return drawn;
}

function drawMarks(map: L.Map, group: L.LayerGroup, { clusters, take, chosen }: { clusters: Supercluster<{ row: Row }>; take: (row: Row) => void; chosen: string | null }) {
  const box = map.getContainer();
  const focused = document.activeElement instanceof HTMLElement && document.activeElement !== box && box.contains(document.activeElement) ? document.activeElement : null;
  group.clearLayers();
  const bounds = map.getBounds().pad(0.1);
  const found = clusters.getClusters([bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()], Math.round(map.getZoom()));
  for (const feature of found) {
    const [lng, lat] = feature.geometry.coordinates as [number, number];
    const inside = feature.properties as { cluster?: boolean; cluster_id?: number; point_count?: number; row?: Row };
    const row = inside.row;
    const size = row ? 22 : 30 + Math.min(22, Math.round(Math.log2(inside.point_count ?? 2) * 3));
    const onWall = row && shownOn.value.get(row.id);
    const now = row ? cameraNow(row.id) : null;
    const said = row ? [row.name, now && stateWord(now), onWall && t('cameras.onWall', { tiles: onWall.join(', ') })].filter(Boolean).join(', ') : t('cameras.cluster', { count: inside.point_count });
    const marker = L.marker([lat, lng], {
      keyboard: true,
      alt: said,
      title: row ? said : undefined,
      icon: L.divIcon({
        className: row ? `camera-mark ${now ? `tone-${lookOf(now).tone}` : ''} ${onWall ? 'on-wall' : ''} ${row.id === chosen ? 'chosen' : ''}` : 'cluster-mark',
        html: row ? sign(now) : String(inside.point_count),
        iconSize: [size, size],
      }),
    }).addTo(group);
    const element = marker.getElement();
    if (!element) continue;
    element.setAttribute('role', 'button');
    element.setAttribute('aria-label', said);
    L.DomEvent.disableClickPropagation(element);
    const act = () => (row ? take(row) : map.setView([lat, lng], Math.min(DEEPEST, clusters.getClusterExpansionZoom(inside.cluster_id!)), { animate: false }));
    element.addEventListener('click', act);
    element.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      event.stopPropagation();
      act();
    });
    if (row) {
      element.dataset.cameraMark = row.id;
      if (now) element.dataset.state = now.state;
      element.addEventListener('pointerdown', (event) => {
        event.stopPropagation();
        if (may('operate-wall')) startDrag(event, { kind: 'camera', camera: row.id, name: row.name });
      });
    }
  }
  // The mark that had the focus is gone: the map keeps it, so that Tab goes on from here.
  if (focused && !focused.isConnected) (box.querySelector<HTMLElement>(`[data-camera-mark="${CSS.escape(focused.dataset.cameraMark ?? '')}"]`) ?? box).focus({ preventScroll: true });
}
