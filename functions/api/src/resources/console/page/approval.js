// What a second person has to approve of a schedule: its first texts and its hash, and the decision.
import { html, useRef } from "./preact.js";
import { get, post } from "./api.js";
import { fromNow, nameOf, number, time } from "./format.js";
import { T } from "./texts.js";
import { ActionButton, ErrorBox, Input, Loading, Notice, Table, useData } from "./ui.js";

const A = T.approval;
const EVERY_MS = 5000;

function Approve({ schedule, hash, done }) {
  // What is to be sent at a time that has passed is sent now, as with a resume.
  const late = new Date(schedule.run_at) < new Date();
  // The hash of the moment at which the dialog was opened: a change meanwhile is not approved.
  const act = async ({ seen }) => done(await post(`/v1/schedules/${schedule.id}/approve`, late ? { hash: seen, now: true } : { hash: seen }));
  return html`<${ActionButton} label=${A.approve} title=${A.approveTitle(nameOf(schedule))} confirm=${A.approve} initial=${{ seen: hash }}
    question=${[A.people(number(schedule.recipients.total)), late ? A.late : A.at(time(schedule.run_at))]} act=${act} />`;
}

function Reject({ schedule, done }) {
  const fields = (values, set) => html`<${Input} label=${A.reason} required maxlength="200" value=${values.reason} onValue=${set("reason")} />`;
  const act = async ({ reason }) => done(await post(`/v1/schedules/${schedule.id}/reject`, { reason }));
  return html`<${ActionButton} label=${A.reject} title=${A.rejectTitle(nameOf(schedule))} confirm=${A.reject} danger
    question=${[A.rejectText]} initial=${{ reason: "" }} fields=${fields} act=${act} />`;
}

export default function Approval({ schedule, can, reload }) {
  const { data, error } = useData(() => get(`/v1/schedules/${schedule.id}/approval`), [schedule.id], EVERY_MS);
  const first = useRef(null);
  if (!data) return html`<${ErrorBox} error=${error} />${!error && html`<${Loading} />`}`;
  first.current ??= data.hash;
  const hasChanged = data.hash !== null && data.hash !== first.current;
  const rows = data.samples.map(({ phone, text }) => [phone, text]);
  const mayApprove = can("schedules:approve") && data.may_approve;
  return html`<section><h2>${A.title}</h2><p>${A.reasons[data.reason]} ${A.asked(time(data.asked_at), fromNow(data.asked_at))}</p>
    ${data.changed_since_approval && html`<${Notice} kind="warning">${A.changedSince}<//>`}
    ${hasChanged && html`<${Notice} kind="warning">${A.changedMeanwhile}<//>`}
    <${ErrorBox} error=${error} />
    <p>${A.list(number(data.schedule.recipients.total))}</p>
    <${Table} caption=${A.samples} head=${A.samplesHead} rows=${rows} />
    <p>${A.hash} <code>${data.hash ?? A.hashing}</code></p>
    ${mayApprove
      ? html`<div class="buttons"><${Approve} schedule=${data.schedule} hash=${data.hash} done=${reload} />
          <${Reject} schedule=${data.schedule} done=${reload} /></div>`
      : html`<${Notice}>${data.hash ? A.somebodyElse : A.hashing}<//>`}</section>`;
}
