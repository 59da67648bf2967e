// The accounts of people: new ones, roles, new passwords, and who may no longer log in.
import { html, useState } from "./preact.js";
import { patch, post } from "./api.js";
import { time } from "./format.js";
import { PagedTable, usePages } from "./paged.js";
import { T } from "./texts.js";
import { ActionButton, Input, Notice, Page, Select } from "./ui.js";

const P = T.people;
const ROLES = ["viewer", "operator", "admin"];
const roles = ROLES.map((role) => [role, `${T.roles[role]}: ${P.mays[role]}`]);

function NewPerson({ done }) {
  const fields = (values, set) => html`<${Input} label=${T.login.username} required value=${values.username} onValue=${set("username")} />
    <${Select} label=${T.account.role} value=${values.role} onValue=${set("role")} options=${roles} />`;
  const act = async (values) => done(await post("/v1/users", values));
  return html`<${ActionButton} label=${P.add} confirm=${P.add} initial=${{ username: "", role: "viewer" }} fields=${fields} act=${act} />`;
}

function Moves({ user, me, done }) {
  const change = (body) => async () => done(await patch(`/v1/users/${user.id}`, body));
  const roleFields = (values, set) => html`<${Select} label=${T.account.role} value=${values.role} onValue=${set("role")} options=${roles} />`;
  return html`<span class="actions">
    <${ActionButton} label=${P.role} title=${P.roleTitle(user.username)} confirm=${T.save} initial=${{ role: user.role }} fields=${roleFields}
      act=${async (values) => done(await patch(`/v1/users/${user.id}`, { role: values.role }))} />
    <${ActionButton} label=${P.reset} title=${P.resetTitle(user.username)} question=${[P.resetText]} confirm=${P.reset}
      act=${change({ reset_password: true })} />
    ${user.second_factor && html`<${ActionButton} label=${P.factor} title=${P.factorTitle(user.username)} question=${[P.factorText]} danger
      confirm=${P.factor} act=${change({ reset_second_factor: true })} />`}
    ${user.id !== me.id && (user.disabled_at
      ? html`<${ActionButton} label=${P.enable} title=${P.enableTitle(user.username)} confirm=${P.enable} act=${change({ disabled: false })} />`
      : html`<${ActionButton} label=${P.disable} title=${P.disableTitle(user.username)} question=${[P.disableText]} confirm=${P.disable}
          danger act=${change({ disabled: true })} />`)}</span>`;
}

export default function People({ me }) {
  const list = usePages("/v1/users", "users", { limit: 100 });
  const [changed, setChanged] = useState(null);
  const done = (user) => {
    setChanged(user);
    list.reload();
  };
  const row = (user) => [
    user.username, T.roles[user.role], user.disabled_at ? P.disabled : user.password_expires_at ? P.temporary : P.active,
    time(user.last_login_at), html`<${Moves} user=${user} me=${me} done=${done} />`,
  ];
  return html`<${Page} title=${T.pages.people} actions=${html`<${NewPerson} done=${done} />`} />
    ${changed?.temporary_password && html`<${Notice}><p>${P.password(changed.username)} <code>${changed.temporary_password}</code></p>
      <p>${P.passwordText}</p><//>`}
    <${PagedTable} list=${list} caption=${T.pages.people} head=${P.head} row=${row} />`;
}
