// Fields with their labels, and a form that says what is wrong beside the button.
import type { ComponentChildren, JSX } from 'preact';
import { useId, useState } from 'preact/hooks';
import { explain } from '../state/notices';

type InputProps = Omit<JSX.IntrinsicElements['input'], 'onInput' | 'value' | 'label'>;

export function Field({ label, hint, value, set, area, ...rest }: InputProps & {
  label: string; hint?: string; value: string; set: (value: string) => void; area?: boolean;
}) {
  const id = useId();
  const described = hint ? `${id}h` : undefined;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {area ? (
        <textarea id={id} rows={3} value={value} required={!!rest.required} aria-describedby={described} onInput={(e) => set(e.currentTarget.value)} />
      ) : (
        <input {...rest} id={id} value={value} aria-describedby={described} onInput={(e) => set(e.currentTarget.value)} />
      )}
      {hint && <p class="hint" id={described}>{hint}</p>}
    </div>
  );
}

export function Choice({ label, value, set, options, hint, disabled }: {
  label: string; value: string; set: (value: string) => void; options: [value: string, text: string][]; hint?: string; disabled?: boolean;
}) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} disabled={disabled} onChange={(e) => set(e.currentTarget.value)}>
        {options.map(([v, text]) => (
          <option key={v} value={v} selected={v === value}>{text}</option>
        ))}
      </select>
      {hint && <p class="hint">{hint}</p>}
    </div>
  );
}

export function Check({ label, checked, set, disabled }: { label: string; checked: boolean; set: (value: boolean) => void; disabled?: boolean }) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} disabled={disabled} onChange={(e) => set(e.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}

/** A form that runs `submit` once at a time and shows its failure. */
export function Form({ submit, button, tone, children, cancel, cancelText }: {
  submit: () => Promise<unknown>; button: string; tone?: 'bad'; children?: ComponentChildren; cancel?: () => void; cancelText?: string;
}) {
  const [working, setWorking] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  return (
    <form
      class="form"
      onSubmit={async (event) => {
        event.preventDefault();
        if (working) return;
        setWorking(true);
        setWrong(null);
        try {
          await submit();
        } catch (error) {
          setWrong(explain(error));
        }
        setWorking(false);
      }}
    >
      {children}
      {wrong && <p class="wrong" role="alert">{wrong}</p>}
      <div class="buttons">
        <button class={`primary ${tone ?? ''}`} disabled={working}>{button}</button>
        {cancel && <button type="button" onClick={cancel}>{cancelText}</button>}
      </div>
    </form>
  );
}

/** Words separated by commas, both ways. */
export const joined = (list: readonly string[]) => list.join(', ');
export const separated = (text: string) => text.split(',').map((part) => part.trim()).filter(Boolean);
