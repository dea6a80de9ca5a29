// Accounts, for administrators; one's own password, language and API tokens, for everybody.
import { useEffect, useState } from 'preact/hooks';
import { all, del, patch, post, put } from '../api/client';
import { ROLES, type Account, type MadeToken, type Me, type Role, type Token } from '../api/types';
import { dateTime, LANGUAGES, t, word } from '../i18n';
import { attempt, say } from '../state/notices';
import { readRegistry, zones } from '../state/registry';
import { may, me } from '../state/session';
import { Empty, Mark } from '../ui/bits';
import { Dialog } from '../ui/dialog';
import { Check, Choice, Field, Form } from '../ui/form';
import { Icon } from '../ui/icons';
import { LanguageChoice } from './login';

export function Accounts() {
  const [list, setList] = useState<Account[] | null>(null);
  const [edited, setEdited] = useState<Account | 'new' | null>(null);
  const read = () => attempt(async () => setList(await all<Account>('/accounts')));
  useEffect(() => {
    void read();
    if (may('read-registry')) void attempt(readRegistry);
  }, []);
  return (
    <main class="page">
      <header class="page-head">
        <h1>{t('nav.accounts')}</h1>
        <button type="button" class="primary" onClick={() => setEdited('new')}><Icon name="plus" /> {t('account.new')}</button>
      </header>
      {list && (
        <div class="table-box" role="region" aria-label={t('nav.accounts')}>
          <table>
            <thead><tr><th scope="col">{t('common.name')}</th><th scope="col">{t('account.role')}</th><th scope="col">{t('account.zones')}</th><th scope="col">{t('account.unit')}</th><th scope="col">{t('account.state')}</th><th scope="col">{t('account.lastLogin')}</th></tr></thead>
            <tbody>
              {list.map((account) => (
                <tr key={account.id}>
                  <td data-label={t('common.name')}><button type="button" class="link" onClick={() => setEdited(account)}>{account.name}</button><small>{account.id}</small></td>
                  <td data-label={t('account.role')}>{word('role', account.role)}</td>
                  <td data-label={t('account.zones')}>{account.zones.join(', ')}</td>
                  <td data-label={t('account.unit')}>{account.unit}</td>
                  <td data-label={t('account.state')}><Mark tone={account.enabled ? 'live' : 'bad'} icon={account.enabled ? 'check' : 'refused'}>{t(account.enabled ? 'account.enabled' : 'account.disabled')}</Mark></td>
                  <td data-label={t('account.lastLogin')}>{dateTime(account.last_login)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {edited && <AccountDialog account={edited === 'new' ? null : edited} close={() => setEdited(null)} done={() => void read()} />}
    </main>
  );
}

function AccountDialog({ account, close, done }: { account: Account | null; close: () => void; done: () => void }) {
  const [name, setName] = useState(account?.name ?? '');
  const [role, setRole] = useState<Role>(account?.role ?? 'operator');
  const [speaks, setSpeaks] = useState<string[]>(account?.zones ?? []);
  const [unit, setUnit] = useState(account?.unit ?? '');
  const [language, setLanguage] = useState(account?.language ?? 'en');
  const [enabled, setEnabled] = useState(account?.enabled ?? true);
  const [password, setPassword] = useState('');
  const [sure, setSure] = useState(false);
  return (
    <Dialog title={account ? account.name : t('account.new')} close={close} wide>
      <Form
        button={t('common.save')}
        cancel={close}
        cancelText={t('common.cancel')}
        submit={async () => {
          const zoned = role === 'zone-authority' ? speaks : [];
          const body = { name, role, zones: zoned, language, ...(unit ? { unit } : {}), ...(password ? { password } : {}) };
          await (account ? patch(`/accounts/${encodeURIComponent(account.id)}`, { ...body, enabled }) : post('/accounts', body));
          say(t('account.saved', { name }));
          done();
          close();
        }}
      >
        <Field label={t('common.name')} value={name} set={setName} required autocomplete="off" autocapitalize="none" spellcheck={false} />
        <Choice label={t('account.role')} value={role} set={(r) => setRole(r as Role)} options={ROLES.map((r) => [r, word('role', r)])} hint={t(`roleDoes.${role}`)} />
        {role === 'zone-authority' && (
          <fieldset>
            <legend>{t('account.zones')}</legend>
            {zones.value.map((z) => <Check key={z.id} label={z.name} checked={speaks.includes(z.id)} set={(on) => setSpeaks(on ? [...speaks, z.id] : speaks.filter((s) => s !== z.id))} />)}
          </fieldset>
        )}
        <Field label={t('account.unit')} hint={t('account.unitHint')} value={unit} set={setUnit} autocomplete="off" />
        <Choice label={t('common.language')} value={language} set={setLanguage} options={Object.entries(LANGUAGES)} />
        <Field label={account ? t('account.newPassword') : t('login.password')} hint={account ? t('account.passwordStays') : t('setup.passwordHint')} type="password" value={password} set={setPassword} required={!account} minLength={12} autocomplete="new-password" />
        {account && <Check label={t('account.enabled')} checked={enabled} set={setEnabled} />}
      </Form>
      {account && account.id !== me.value?.account && (
        <div class="buttons">
          <button type="button" class="bad" onClick={() => (sure ? void attempt(async () => { await del(`/accounts/${encodeURIComponent(account.id)}`); done(); close(); }) : setSure(true))}>{t(sure ? 'common.sureDelete' : 'common.delete')}</button>
        </div>
      )}
    </Dialog>
  );
}

export function Myself() {
  const [tokens, setTokens] = useState<Token[] | null>(null);
  const [made, setMade] = useState<MadeToken | null>(null);
  const [old, setOld] = useState('');
  const [next, setNext] = useState('');
  const [again, setAgain] = useState('');
  const [name, setName] = useState('');
  const read = () => attempt(async () => setTokens(await all<Token>('/tokens')));
  useEffect(() => void read(), []);
  const who = me.value;
  if (!who) return null;
  return (
    <main class="page narrow">
      <header class="page-head"><h1>{who.name}</h1></header>
      <section class="card">
        <dl class="facts-list">
          <dt>{t('account.role')}</dt><dd>{word('role', who.role)} – {t(`roleDoes.${who.role}`)}</dd>
          <dt>{t('account.unit')}</dt><dd>{who.unit}</dd>
          {who.zones.length > 0 && (<><dt>{t('account.zones')}</dt><dd>{who.zones.join(', ')}</dd></>)}
          <dt>{t('common.language')}</dt><dd><LanguageChoice changed={(language) => void attempt(async () => { me.value = await patch<Me>('/me', { language }); })} /></dd>
        </dl>
      </section>
      <section class="card">
        <h2>{t('myself.password')}</h2>
        <Form
          button={t('myself.change')}
          submit={async () => {
            if (next !== again) throw new Error(t('setup.differ'));
            await put('/me/password', { old, new: next });
            setOld(''); setNext(''); setAgain('');
            say(t('myself.changed'));
          }}
        >
          <Field label={t('myself.old')} type="password" value={old} set={setOld} required autocomplete="current-password" />
          <Field label={t('account.newPassword')} hint={t('setup.passwordHint')} type="password" value={next} set={setNext} required minLength={12} autocomplete="new-password" />
          <Field label={t('setup.again')} type="password" value={again} set={setAgain} required autocomplete="new-password" />
        </Form>
      </section>
      <section class="card">
        <h2>{t('myself.tokens')}</h2>
        <p class="hint">{t('myself.tokensExplain')}</p>
        {made && <div class="verdict-box tone-live" role="status"><p>{t('myself.once')}</p><code class="secret" tabIndex={0}>{made.secret}</code></div>}
        {tokens && tokens.length === 0 && <Empty>{t('myself.noToken')}</Empty>}
        <ul class="list" role="list">
          {(tokens ?? []).map((token) => (
            <li key={token.id}>
              <div><b>{token.name}</b><p class="sub">{[token.id, t('myself.until', { at: dateTime(token.expires_at) }), token.used_at && t('myself.used', { at: dateTime(token.used_at) })].filter(Boolean).join(' · ')}</p></div>
              <button type="button" onClick={() => void attempt(async () => { await del(`/tokens/${encodeURIComponent(token.id)}`); await read(); })}>{t('myself.end')}</button>
            </li>
          ))}
        </ul>
        <Form button={t('myself.make')} submit={async () => { setMade(await post<MadeToken>('/tokens', { name })); setName(''); await read(); }}>
          <Field label={t('myself.tokenName')} value={name} set={setName} required autocomplete="off" />
        </Form>
      </section>
    </main>
  );
}
