// Logging in. A temporary password has to be changed in the same call, and a second factor needs a code.
import { html, useState } from "./preact.js";
import { logIn } from "./api.js";
import { T } from "./texts.js";
import { ErrorBox, Input, Notice, Page } from "./ui.js";

const SHORTEST_PASSWORD = 12;

/** Returns why a new password cannot be taken, or null. */
export function passwordError(password, repeated) {
  if (password.length < SHORTEST_PASSWORD) return T.login.tooShort(SHORTEST_PASSWORD);
  return password === repeated ? null : T.login.different;
}

/** The inputs of a new password. */
export function NewPassword({ values, set }) {
  const shared = { type: "password", autocomplete: "new-password", required: true };
  return html`<${Input} label=${T.login.newPassword} hint=${T.login.passwordHint(SHORTEST_PASSWORD)} ...${shared}
      name="new-password" value=${values.fresh} onValue=${set("fresh")} />
    <${Input} label=${T.login.repeat} ...${shared} name="repeated" value=${values.repeated} onValue=${set("repeated")} />`;
}

/** The page of a deployment in which accounts of this API cannot log in. */
export const LoginOff = ({ error }) => html`<main class="login"><${Page} title=${T.login.title} />
  <${Notice} kind="warning"><p>${T.login.off.text}</p><p>${T.login.off.refused(error.message)}</p><//>
  <p>${T.login.off.instead}</p><ul>${T.login.off.ways.map((way) => html`<li>${way}</li>`)}</ul></main>`;

/** The page of the login; `onLogin()` is called when there is a session. */
export function Login({ ended, onLogin }) {
  const [values, setValues] = useState({ username: "", password: "", fresh: "", repeated: "", code: "" });
  const [mustChange, setMustChange] = useState(false);
  const [needsCode, setNeedsCode] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const set = (name) => (value) => setValues((known) => ({ ...known, [name]: value }));
  const submit = async (event) => {
    event.preventDefault();
    const wrong = mustChange && passwordError(values.fresh, values.repeated);
    if (wrong) return setError({ title: T.login.notChanged, message: wrong });
    setBusy(true);
    setError(null);
    try {
      const { username, password } = values;
      await logIn({ username, password, newPassword: mustChange && values.fresh, code: needsCode && values.code });
      await onLogin();
    } catch (problem) {
      if (problem.slug === "password-change-required" && !mustChange) setMustChange(true);
      else if (problem.slug === "second-factor-required" && !needsCode) setNeedsCode(true);
      else setError(problem);
    }
    return setBusy(false);
  };
  return html`<main class="login"><${Page} title=${T.login.title} />
    ${ended && html`<${Notice}>${T.login.ended[ended]}<//>`}
    <form onSubmit=${submit}>
      <${Input} label=${T.login.username} name="username" autocomplete="username" required
        value=${values.username} onValue=${set("username")} />
      <${Input} label=${T.login.password} name="password" type="password" autocomplete="current-password" required
        value=${values.password} onValue=${set("password")} />
      ${needsCode && html`<${Input} label=${T.login.code} hint=${T.login.codeHint} name="code" autocomplete="one-time-code" required
        value=${values.code} onValue=${set("code")} />`}
      ${mustChange && html`<${Notice}>${T.login.mustChange}<//><${NewPassword} values=${values} set=${set} />`}
      <${ErrorBox} error=${error} />
      <div class="buttons"><button type="submit" class="primary" disabled=${busy}>
        ${busy ? T.working : mustChange ? T.login.change : T.login.submit}</button></div>
    </form></main>`;
}
