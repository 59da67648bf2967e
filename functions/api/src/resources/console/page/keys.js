// API keys of programs: new ones, whose secret is shown once, and revoking.
import { html, useState } from "./preact.js";
import { post, remove } from "./api.js";
import { number, time } from "./format.js";
import { PagedTable, usePages } from "./paged.js";
import { T } from "./texts.js";
import { ActionButton, Checkbox, Input, Notice, Page } from "./ui.js";

const K = T.keys;
// What a key may be granted (docs/api/access.md).
const PERMISSIONS = [
  "schedules:read", "schedules:write", "schedules:high", "attention:read", "attention:write", "suppressions:read",
  "suppressions:write", "suppressions:delete", "people:read", "people:erase", "webhooks:read", "webhooks:own", "senders:any", "carriers:read",
  "carriers:write", "system:stop", "audit:read",
];

function NewKey({ done }) {
  const fields = (values, set) => html`<${Input} label=${K.name} required maxlength="100" value=${values.name} onValue=${set("name")} />
    <fieldset><legend>${K.permissions}</legend>${PERMISSIONS.map((one) => html`<${Checkbox} label=${one} checked=${values[one] ?? false}
      onValue=${set(one)} />`)}</fieldset>
    <${Input} label=${K.perDay} hint=${K.perDayHint} type="number" min="1" value=${values.perDay} onValue=${set("perDay")} />
    <${Input} label=${K.expires} hint=${K.expiresHint} type="date" value=${values.expires} onValue=${set("expires")} />
    <${Input} label=${K.addresses} hint=${K.addressesHint} value=${values.addresses} onValue=${set("addresses")} />
    <${Input} label=${K.senders} hint=${K.sendersHint} value=${values.senders} onValue=${set("senders")} />`;
  const act = async (values) => {
    const body = { name: values.name, permissions: PERMISSIONS.filter((one) => values[one]) };
    if (values.perDay) body.messages_per_day = Number(values.perDay);
    if (values.expires) body.expires_at = `${values.expires}T23:59:59Z`;
    const networks = values.addresses.split(/[\s,;]+/).filter(Boolean);
    if (networks.length) body.allowed_addresses = networks;
    const senders = values.senders.split(",").map((one) => one.trim()).filter(Boolean);
    if (senders.length) body.allowed_senders = senders;
    done(await post("/v1/api-keys", body));
  };
  return html`<${ActionButton} label=${K.add} confirm=${K.add} initial=${{ name: "", perDay: "", expires: "", addresses: "", senders: "" }} fields=${fields} act=${act} />`;
}

export default function Keys() {
  const list = usePages("/v1/api-keys", "api_keys", { limit: 100 });
  const [made, setMade] = useState(null);
  const done = (key) => {
    setMade(key);
    list.reload();
  };
  const revoke = (key) => html`<${ActionButton} label=${K.revoke} title=${K.revokeTitle(key.name)} question=${[K.revokeText]} confirm=${K.revoke}
    danger act=${async () => done(await remove(`/v1/api-keys/${key.id}`))} />`;
  const row = (key) => [
    html`${key.name} <code>${key.prefix}</code>`, key.permissions.join(", "), key.messages_per_day ? number(key.messages_per_day) : "–",
    key.allowed_addresses?.join(", ") ?? "–", key.allowed_senders?.join(", ") ?? "–", time(key.last_used_at), time(key.expires_at), key.revoked_at ? K.revoked(time(key.revoked_at)) : revoke(key),
  ];
  return html`<${Page} title=${T.pages.keys} actions=${html`<${NewKey} done=${done} />`} />
    ${made?.key && html`<${Notice}><p>${K.secret(made.name)} <code>${made.key}</code></p><p>${K.secretText}</p><//>`}
    <${PagedTable} list=${list} caption=${T.pages.keys} head=${K.head} row=${row} />`;
}
