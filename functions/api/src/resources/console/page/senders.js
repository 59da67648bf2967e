// Senders that people without a free choice may use: registering and removing them.
import { html } from "./preact.js";
import { get, put, remove } from "./api.js";
import { time } from "./format.js";
import { T } from "./texts.js";
import { ActionButton, ErrorBox, Input, Table, useData } from "./ui.js";

const S = T.senders;

export function Senders({ can }) {
  const { data, error, reload } = useData(() => get("/v1/senders"), []);
  const mayChange = can("senders:write");
  const fields = (values, set) => html`<${Input} label=${S.sender} hint=${T.send.senderHint} required maxlength="16" value=${values.sender} onValue=${set("sender")} />
    <${Input} label=${S.note} hint=${S.noteHint} maxlength="255" value=${values.note} onValue=${set("note")} />`;
  const add = async ({ sender, note }) => {
    await put(`/v1/senders/${encodeURIComponent(sender.trim())}`, { note });
    reload();
  };
  const drop = ({ sender }) => async () => {
    await remove(`/v1/senders/${encodeURIComponent(sender)}`);
    reload();
  };
  const head = mayChange ? S.head : S.head.slice(0, -1);
  const row = (one) => [
    one.sender, one.note, time(one.created_at),
    mayChange && html`<${ActionButton} label=${S.remove} title=${S.removeTitle(one.sender)} question=${[S.removeText]} confirm=${S.remove} danger act=${drop(one)} />`,
  ].slice(0, head.length);
  return html`<section><h2>${S.title}</h2><p>${S.intro}</p><${ErrorBox} error=${error} />
    ${data && html`<${Table} caption=${S.title} head=${head} rows=${data.senders.map(row)} empty=${S.none} />`}
    ${mayChange && html`<p><${ActionButton} label=${S.add} confirm=${S.add} initial=${{ sender: "", note: "" }} fields=${fields} act=${add} /></p>`}</section>`;
}
