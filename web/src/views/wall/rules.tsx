// Alarm rules: which alarm calls which cameras to which tiles. For those who manage the wall.
import { useEffect, useState } from 'preact/hooks';
import { all, del, post, put } from '../../api/client';
import type { AlarmRule } from '../../api/types';
import { t } from '../../i18n';
import { send } from '../../state/commands';
import { attempt } from '../../state/notices';
import { zoneName, zones } from '../../state/registry';
import { Empty } from '../../ui/bits';
import { Dialog } from '../../ui/dialog';
import { Check, Choice, Field, Form, joined, separated } from '../../ui/form';
import { alarmRules } from './side';

const readRules = () => attempt(async () => { alarmRules.value = await all<AlarmRule>('/alarm-rules'); });

export function RulesDialog({ close }: { close: () => void }) {
  const [edited, setEdited] = useState<AlarmRule | 'new' | null>(null);
  useEffect(() => void readRules(), []);
  return (
    <Dialog title={t('wall.rules')} close={close} wide>
      {edited ? (
        <RuleForm rule={edited === 'new' ? null : edited} done={() => setEdited(null)} />
      ) : (
        <>
          {alarmRules.value.length === 0 && <Empty>{t('rule.none')}</Empty>}
          <ul class="list" role="list">
            {alarmRules.value.map((rule) => (
              <li key={rule.id}>
                <div>
                  <b>{rule.kind}</b>
                  <p class="sub">{t('rule.line', { kind: rule.kind, camera: rule.camera ?? (rule.zone ? zoneName(rule.zone) : t('rule.any')), show: joined(rule.show) || t('rule.itsOwn'), tiles: joined(rule.tiles) })}</p>
                </div>
                <span class="pair">
                  <button type="button" class="small" onClick={() => setEdited(rule)}>{t('common.edit')}</button>
                  <button type="button" class="small" onClick={() => void send(() => del(`/alarm-rules/${encodeURIComponent(rule.id)}`)).then(readRules)}>{t('common.delete')}</button>
                </span>
              </li>
            ))}
          </ul>
          <div class="buttons"><button type="button" class="primary" data-first onClick={() => setEdited('new')}>{t('rule.new')}</button></div>
        </>
      )}
    </Dialog>
  );
}

function RuleForm({ rule, done }: { rule: AlarmRule | null; done: () => void }) {
  const [kind, setKind] = useState(rule?.kind ?? '');
  const [camera, setCamera] = useState(rule?.camera ?? '');
  const [show, setShow] = useState(joined(rule?.show ?? []));
  const [tiles, setTiles] = useState(joined(rule?.tiles ?? []));
  const [zone, setZone] = useState(rule?.zone ?? '');
  const [spotlight, setSpotlight] = useState(rule?.spotlight ?? false);
  return (
    <Form
      button={t('common.save')}
      cancel={done}
      cancelText={t('common.cancel')}
      submit={async () => {
        const body = { kind, camera: camera || null, zone: zone || null, show: separated(show), tiles: separated(tiles), spotlight };
        await (rule ? put(`/alarm-rules/${encodeURIComponent(rule.id)}`, body) : post('/alarm-rules', body));
        await readRules();
        done();
      }}
    >
      <Field label={t('rule.kind')} value={kind} set={setKind} required autocomplete="off" />
      <Field label={t('rule.camera')} hint={t('rule.emptyIsAny')} value={camera} set={setCamera} autocomplete="off" />
      <Choice label={t('common.zone')} value={zone} set={setZone} options={[['', t('rule.any')], ...zones.value.map((z): [string, string] => [z.id, z.name])]} />
      <Field label={t('rule.show')} hint={t('rule.showHint')} value={show} set={setShow} autocomplete="off" />
      <Field label={t('rule.tiles')} value={tiles} set={setTiles} required autocomplete="off" />
      <Check label={t('wall.spotlight')} checked={spotlight} set={setSpotlight} />
    </Form>
  );
}
