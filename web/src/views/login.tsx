// Before anybody is logged in: the first start, and the login.
import { useState } from 'preact/hooks';
import { address } from '../api/client';
import { chooseLanguage, language, LANGUAGES, setLanguage, t, word } from '../i18n';
import { path } from '../state/router';
import { ended, firstStart, login, setup, start } from '../state/session';
import { Field, Form } from '../ui/form';

/** Without `changed` nobody is logged in yet: the choice is kept for whoever logs in next here. */
export function LanguageChoice({ changed }: { changed?: (language: string) => void }) {
  return (
    <div class="languages" role="group" aria-label={t('common.language')}>
      {Object.entries(LANGUAGES).map(([code, name]) => (
        <button key={code} type="button" lang={code} class={`quiet ${language.value === code ? 'on' : ''}`} aria-pressed={language.value === code} onClick={() => void (changed ? setLanguage(code).then(() => changed(code)) : chooseLanguage(code))}>{name}</button>
      ))}
    </div>
  );
}

function Front({ children }: { children: preact.ComponentChildren }) {
  return (
    <main class="front">
      <div class="front-card">
        <p class="brand large"><span class="panes" aria-hidden="true"><i /><i /><i /><i /></span>Vitrail</p>
        {children}
        <LanguageChoice />
      </div>
    </main>
  );
}

export function Unreachable() {
  return (
    <Front>
      <h1>{t('problem.unreachable')}</h1>
      <div class="buttons"><button type="button" class="primary" onClick={() => void start()}>{t('common.again')}</button></div>
    </Front>
  );
}

export function Login() {
  return setup.value.needed ? <FirstStart /> : <NameAndPassword />;
}

function NameAndPassword() {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  return (
    <Front>
      <h1>{t('login.title')}</h1>
      {path.value[0] === 'sign-on' && <p class="wrong" role="alert">{t('login.signOnFailed')} {word('refusal', path.value[1])}</p>}
      {ended.value && <p class="wrong" role="status">{t('login.ended')}</p>}
      <Form button={t('login.enter')} submit={() => login(name.trim(), password)}>
        <Field label={t('login.name')} value={name} set={setName} required autofocus autocomplete="username" autocapitalize="none" spellcheck={false} />
        <Field label={t('login.password')} type="password" value={password} set={setPassword} required autocomplete="current-password" />
      </Form>
      {setup.value.sign_on && (
        <a class="button" href={address('/oidc/start')}>{t('login.oidc')}</a>
      )}
      <p class="hint">{t('login.onRecord')}</p>
    </Front>
  );
}

function FirstStart() {
  const [token, setToken] = useState('');
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  return (
    <Front>
      <h1>{t('setup.title')}</h1>
      <p>{t('setup.explain')}</p>
      <Form
        button={t('setup.make')}
        submit={async () => {
          if (password !== again) throw new Error(t('setup.differ'));
          await firstStart(token.trim(), name.trim(), password);
        }}
      >
        <Field label={t('setup.token')} hint={t('setup.tokenHint')} value={token} set={setToken} required autofocus autocomplete="off" spellcheck={false} />
        <Field label={t('setup.name')} value={name} set={setName} required autocomplete="username" autocapitalize="none" spellcheck={false} />
        <Field label={t('login.password')} hint={t('setup.passwordHint')} type="password" value={password} set={setPassword} required minLength={12} autocomplete="new-password" />
        <Field label={t('setup.again')} type="password" value={again} set={setAgain} required autocomplete="new-password" />
      </Form>
    </Front>
  );
}
