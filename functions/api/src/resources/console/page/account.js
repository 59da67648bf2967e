// The account of the person: who it is, a new password, the second factor, and the sessions.
import { html, useState } from "./preact.js";
import { get, logOut, post, remove } from "./api.js";
import { fromNow, time } from "./format.js";
import { NewPassword, passwordError } from "./login.js";
import { SecondFactor } from "./second-factor.js";
import { T } from "./texts.js";
import { ActionButton, BusyButton, ErrorBox, Input, Page, Table, useData } from "./ui.js";

function ChangePassword() {
  const [values, setValues] = useState({ current: "", fresh: "", repeated: "" });
  const [error, setError] = useState(null);
  const set = (name) => (value) => setValues((known) => ({ ...known, [name]: value }));
  const submit = async (event) => {
    event.preventDefault();
    const wrong = passwordError(values.fresh, values.repeated);
    if (wrong) return setError({ title: T.login.notChanged, message: wrong });
    try {
      await post("/v1/auth/password", { current_password: values.current, new_password: values.fresh });
      // All sessions have ended, also this one.
      return await logOut(false);
    } catch (problem) {
      return setError(problem);
    }
  };
  return html`<section><h2>${T.account.password}</h2><p>${T.account.passwordText}</p><form onSubmit=${submit}>
    <${Input} label=${T.account.current} type="password" name="current" autocomplete="current-password" required
      value=${values.current} onValue=${set("current")} />
    <${NewPassword} values=${values} set=${set} /><${ErrorBox} error=${error} />
    <div class="buttons"><button type="submit" class="primary">${T.account.change}</button></div></form></section>`;
}

function Sessions() {
  const { data, error, reload } = useData(() => get("/v1/auth/sessions"), []);
  const end = (id) => async () => {
    await remove(`/v1/auth/sessions/${id}`);
    reload();
  };
  const row = ({ id, address, current, created_at, last_used_at }) => [
    address, time(created_at), fromNow(last_used_at),
    current ? T.account.thisOne : html`<${BusyButton} label=${T.account.end} act=${end(id)} />`,
  ];
  return html`<${ErrorBox} error=${error} />
    ${data && html`<${Table} caption=${T.account.sessions} head=${T.account.sessionHead} rows=${data.sessions.map(row)} />`}`;
}

export default function Account({ me }) {
  return html`<${Page} title=${T.pages.account} />
    <dl><dt>${T.account.name}</dt><dd>${me.name}</dd>
      <dt>${T.account.role}</dt><dd>${T.roles[me.role] ?? T.account.noRole}</dd></dl>
    ${me.kind === "user" && html`<${ChangePassword} /><${SecondFactor} />`}
    <section><h2>${T.account.sessions}</h2><p>${T.account.sessionsText}</p>
      ${me.kind === "user" && html`<${Sessions} />`}
      <${ActionButton} label=${T.account.everywhere} question=${[T.account.everywhereText]} danger
        act=${() => logOut(true)} /></section>`;
}
