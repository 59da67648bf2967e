// The components that pages share.
import { html, useEffect, useRef, useState } from "./preact.js";
import { GROUPS, grouped, number } from "./format.js";
import { T } from "./texts.js";

/** A page with its heading, which gets the focus when the page opens. */
export function Page({ title, actions, children }) {
  const heading = useRef();
  useEffect(() => {
    document.title = `${title} – ${T.title}`;
  }, [title]);
  useEffect(() => {
    heading.current?.focus();
    scrollTo(0, 0);
  }, []);
  return html`<div class="page-head"><h1 tabindex="-1" ref=${heading}>${title}</h1>
      <div class="actions">${actions}</div></div>${children}`;
}

export const Loading = () => html`<p class="loading" role="status">${T.loading}</p>`;

/** Shows what is wrong, field by field, and what is possible instead. */
export function ErrorBox({ error }) {
  const box = useRef();
  useEffect(() => {
    if (error) box.current?.scrollIntoView({ block: "nearest" });
  }, [error]);
  if (!error) return null;
  const errors = (error.errors ?? []).slice(0, 20);
  return html`<div class="error" role="alert" ref=${box}>
    <p><strong>${error.title ?? T.problems.title}</strong></p><p>${error.message}</p>
    ${errors.length > 0 && html`<ul>${errors.map(
      (one) => html`<li>${one.field && html`<strong>${one.field}: </strong>`}${T.problems.codes[one.code] ?? one.detail}
        ${one.suggestion && T.problems.suggestion(one.suggestion)}</li>`,
    )}</ul>`}
    ${error.errorsTotal > errors.length && html`<p>${T.problems.more(error.errorsTotal - errors.length)}</p>`}
    ${error.possible && html`<p>${T.problems.possible(error.possible)}</p>`}
  </div>`;
}

export const Notice = ({ kind = "info", children }) =>
  html`<div class=${`notice ${kind}`} role="status">${children}</div>`;

let ids = 0;
const newId = () => `field-${(ids += 1)}`;

/** A label, its input and a hint. `render(attributes)` returns the input. */
export function Field({ label, hint, children }) {
  const [id] = useState(newId);
  const attributes = { id, "aria-describedby": hint ? `${id}-hint` : undefined };
  return html`<div class="field"><label for=${id}>${label}</label>${children(attributes)}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}</div>`;
}

/** A text input with its label. */
export function Input({ label, hint, value, onValue, ...rest }) {
  return html`<${Field} label=${label} hint=${hint}>${(attributes) => html`<input ...${attributes} ...${rest}
    value=${value} onInput=${(event) => onValue(event.target.value)} />`}<//>`;
}

/** A choice with its label. `options` are pairs of value and text. */
export function Select({ label, hint, value, onValue, options, ...rest }) {
  return html`<${Field} label=${label} hint=${hint}>${(attributes) => html`<select ...${attributes} ...${rest}
    value=${value} onChange=${(event) => onValue(event.target.value)}>${options.map(
      ([key, text]) => html`<option value=${key} selected=${key === value}>${text}</option>`,
    )}</select>`}<//>`;
}

export function Checkbox({ label, checked, onValue }) {
  return html`<label class="checkbox"><input type="checkbox" checked=${checked}
    onChange=${(event) => onValue(event.target.checked)} /> ${label}</label>`;
}

/** A table that scrolls in its own box on a narrow screen. Rows are arrays of cells. */
export function Table({ caption, head, rows, numeric = [], empty = T.nothing }) {
  if (rows.length === 0) return html`<p class="empty">${empty}</p>`;
  const kind = (at) => (numeric.includes(at) ? "numeric" : undefined);
  return html`<div class="table" role="region" aria-label=${caption} tabindex="0"><table>
    <caption class="hidden">${caption}</caption>
    <thead><tr>${head.map((cell, at) => html`<th scope="col" class=${kind(at)}>${cell}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${row.map((cell, at) =>
      at === 0 ? html`<th scope="row">${cell}</th>` : html`<td class=${kind(at)}>${cell}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}

export const Badge = ({ status }) =>
  html`<span class=${`badge status-${status}`}>${T.scheduleStatus[status] ?? status}</span>`;

/** The counts of a schedule as a bar, and as a text, so that nothing depends on colours. */
export function Bar({ counts }) {
  const sums = grouped(counts);
  const total = Object.values(sums).reduce((all, one) => all + one, 0);
  const shown = Object.keys(GROUPS).filter((name) => sums[name] > 0);
  return html`<div class="bar" aria-hidden="true">${shown.map((name) => html`<span class=${`part ${name}`}
      style=${{ width: `${(100 * sums[name]) / Math.max(total, 1)}%` }}></span>`)}</div>
    <ul class="legend">${shown.map((name) => html`<li><span class=${`swatch ${name}`} aria-hidden="true"></span>
      ${T.groups[name]} ${number(sums[name])}</li>`)}</ul>`;
}

/** A modal dialog. The browser keeps the focus in it, and Escape closes it. */
export function Dialog({ title, onClose, children }) {
  const dialog = useRef();
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  return html`<dialog ref=${dialog} onClose=${onClose} aria-label=${title}><h2>${title}</h2>${children}</dialog>`;
}

/**
 * A button that asks before it acts. `question` are the lines of the dialog; `fields(values, set)`
 * renders inputs; `act(values)` does it, and its problem is shown in the dialog.
 */
export function ActionButton({ label, title = label, question = [], fields, initial = {}, act, danger, primary, confirm = title }) {
  const [open, setOpen] = useState(false);
  const [values, setValues] = useState(initial);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const set = (name) => (value) => setValues((known) => ({ ...known, [name]: value }));
  const show = () => {
    setValues(initial);
    setError(null);
    setOpen(true);
  };
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await act(values);
      setOpen(false);
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };
  const kind = danger ? "danger" : "primary";
  return html`<button type="button" class=${danger ? "danger" : primary ? "primary" : ""} onClick=${show}>${label}</button>
    ${open && html`<${Dialog} title=${title} onClose=${() => setOpen(false)}><form onSubmit=${submit}>
      ${question.filter(Boolean).map((line) => html`<p>${line}</p>`)}${fields?.(values, set)}
      <${ErrorBox} error=${error} />
      <div class="buttons"><button type="submit" class=${kind} disabled=${busy}>${busy ? T.working : confirm}</button>
        <button type="button" onClick=${() => setOpen(false)}>${T.back}</button></div></form><//>`}`;
}

/** A button that acts at once, and shows a problem beside it. */
export function BusyButton({ label, act, kind = "", disabled }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const click = async () => {
    setBusy(true);
    setError(null);
    await act().catch(setError);
    setBusy(false);
  };
  return html`<button type="button" class=${kind} disabled=${busy || disabled} onClick=${click}>
    ${busy ? T.working : label}</button><${ErrorBox} error=${error} />`;
}

/** Loads data, and again every `everyMs` while the page is visible. Keeps the last data on errors. */
export function useData(load, dependencies, everyMs = 0) {
  const [state, setState] = useState({ data: null, error: null });
  const [round, setRound] = useState(0);
  const key = useRef();
  useEffect(() => {
    let live = true;
    // Data of another page are not shown, while data that are only older are.
    const identity = JSON.stringify(dependencies);
    if (key.current !== identity) setState({ data: null, error: null });
    key.current = identity;
    const run = () => load().then(
      (data) => live && setState({ data, error: null }),
      (error) => live && setState((known) => ({ ...known, error })),
    );
    run();
    const timer = everyMs && setInterval(() => document.hidden || run(), everyMs);
    return () => {
      live = false;
      clearInterval(timer);
    };
  }, [...dependencies, everyMs, round]);
  return { ...state, reload: () => setRound((known) => known + 1) };
}

/** Hands a file to the person. */
export function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
