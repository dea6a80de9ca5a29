// Writing an agreement, or changing one that nobody has signed yet.
import { useState } from 'preact/hooks';
import { patch, post } from '../../api/client';
import type { Agreement } from '../../api/types';
import { t, word } from '../../i18n';
import { agreementsChanged } from '../../state/changed';
import { options, purposes } from '../../state/law';
import { say } from '../../state/notices';
import { zones } from '../../state/registry';
import { me } from '../../state/session';
import { Dialog } from '../../ui/dialog';
import { Check, Choice, Field, Form, joined, separated } from '../../ui/form';

const dateOf = (text: string) => text.slice(0, 10);
/** The start of a day by this browser's clock. */
const instant = (date: string) => new Date(`${date}T00:00:00`).toISOString();

export function DraftDialog({ old, zone, close }: { old: Agreement | null; zone: string | null; close: () => void }) {
  const now = new Date();
  // This browser's date, not that of UTC.
  const today = new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString().slice(0, 10);
  const own = me.value?.role === 'zone-authority' ? zones.value.filter((z) => me.value?.zones.includes(z.id)) : zones.value;
  const [where, setWhere] = useState(old?.zone ?? (own.some((z) => z.id === zone) ? zone! : (own[0]?.id ?? '')));
  const [title, setTitle] = useState(old?.title ?? '');
  const [parties, setParties] = useState(joined(old?.parties ?? []));
  const [chosen, setChosen] = useState<string[]>(old?.purposes ?? []);
  const [grants, setGrants] = useState({ live: old?.live ?? true, record: old?.record ?? false, export: old?.export ?? false });
  const [units, setUnits] = useState(joined(old?.units ?? []));
  const [tags, setTags] = useState(joined(old?.tags ?? []));
  const [from, setFrom] = useState(old ? dateOf(old.valid_from) : today);
  const [to, setTo] = useState(old ? dateOf(old.valid_to) : `${Number(today.slice(0, 4)) + 1}${today.slice(4)}`);
  return (
    <Dialog title={old ? old.id : t('agreement.draft')} close={close} wide>
      <Form
        button={t('agreement.saveDraft')}
        cancel={close}
        cancelText={t('common.cancel')}
        submit={async () => {
          if (chosen.length === 0) throw new Error(t('agreement.choosePurpose'));
          const terms = {
            title, parties: separated(parties), purposes: chosen, ...grants, units: separated(units), tags: separated(tags),
            valid_from: instant(from), valid_to: instant(to),
          };
          const made = old
            ? await patch<Agreement>(`/agreements/${encodeURIComponent(old.id)}`, { version: old.version, ...terms })
            : await post<Agreement>('/agreements', { zone: where || own[0]?.id, ...terms });
          say(t('agreement.drafted', { id: made?.id ?? old?.id }));
          agreementsChanged.value++;
          close();
        }}
      >
        <p class="hint">{t('agreement.secondPerson')}</p>
        {!old && <Choice label={t('common.zone')} value={where} set={setWhere} options={own.map((z) => [z.id, z.name])} />}
        <Field label={t('agreement.title')} value={title} set={setTitle} required autocomplete="off" />
        <Field label={t('agreement.parties')} hint={t('common.commas')} value={parties} set={setParties} required autocomplete="off" />
        <fieldset>
          <legend>{t('agreement.purposes')}</legend>
          {options(purposes.value).map(([w, text]) => (
            <Check key={w} label={text} checked={chosen.includes(w)} set={(on) => setChosen(on ? [...chosen, w] : chosen.filter((c) => c !== w))} />
          ))}
          {purposes.value.length === 0 && <Field label={t('agreement.purposes')} hint={t('common.commas')} value={joined(chosen)} set={(v) => setChosen(separated(v))} />}
        </fieldset>
        <fieldset>
          <legend>{t('agreement.grants')}</legend>
          {(['live', 'record', 'export'] as const).map((what) => <Check key={what} label={word('grantLong', what)} checked={grants[what]} set={(on) => setGrants({ ...grants, [what]: on })} />)}
        </fieldset>
        <Field label={t('agreement.units')} hint={t('common.commas')} value={units} set={setUnits} required autocomplete="off" />
        <Field label={t('agreement.tags')} hint={t('agreement.tagsHint')} value={tags} set={setTags} autocomplete="off" />
        <div class="two">
          <Field label={t('agreement.validFrom')} type="date" value={from} set={setFrom} required />
          <Field label={t('agreement.validTo')} hint={t('agreement.validToHint')} type="date" value={to} set={setTo} required />
        </div>
      </Form>
    </Dialog>
  );
}
