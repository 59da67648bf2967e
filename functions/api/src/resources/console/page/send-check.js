// What a draft would send: the numbers of a dry run, texts as they would be sent, the confirmation.
import { html, useState } from "./preact.js";
import { get, patch, post } from "./api.js";
import { duration, number, percent, timeIn } from "./format.js";
import { open } from "./router.js";
import { draftTime } from "./send-times.js";
import { measure } from "./sms-text.js";
import { T } from "./texts.js";
import { ActionButton, ErrorBox, Input, Loading, Notice, Table, useData } from "./ui.js";

const C = T.check;
// A list that is sent at once begins this long after the confirmation: clocks may differ a little.
const AT_ONCE_MS = 20_000;

/** Asks the API what the draft would send. One that is sent at once has a time that moves. */
async function dryRun(schedule, when) {
  const hasPassed = new Date(schedule.run_at) < new Date();
  if (when === "now" && hasPassed) await patch(`/v1/schedules/${schedule.id}`, { run_at: draftTime(schedule.send_until).toISOString() });
  return post(`/v1/schedules/${schedule.id}/dry-run`);
}

/** Says what the messages would cost. */
const costOf = ({ cost, is_sample: isSample }) => (isSample ? C.about : "") + T.money.costOf(cost.total, cost.currency, cost.unpriced);

function facts(schedule, found, when, zone) {
  const about = found.is_sample ? C.about : "";
  const byCount = found.parts_by_count.map(({ parts, messages }) => C.partsBy(parts, number(messages))).join(", ");
  return [
    [C.people, number(found.recipients.total)],
    [C.suppressed, about + number(found.suppressed)],
    [C.duplicates, number(schedule.recipients.duplicates)],
    [C.invalid, number(schedule.counts.INVALID)],
    [C.parts, `${about}${number(found.parts_total)}${byCount && ` (${byCount})`}`],
    found.cost && [T.money.cost, costOf(found)],
    [C.first, when === "now" ? C.atOnce : timeIn(found.planned_start ?? schedule.run_at, zone)],
    [C.last, when === "now" ? C.after(duration(found.duration_s)) : found.planned_end ? timeIn(found.planned_end, zone) : C.tooFar],
    [C.duration, `${duration(found.duration_s)}${found.limited_by ? ` (${C.limitedBy(T.schedule.limits[found.limited_by])})` : ""}`],
    found.capacity_used !== null && [T.schedule.capacity, percent(found.capacity_used)],
    [T.schedule.priority, T.priorities[found.priority]],
    schedule.sender && [T.schedule.sender, schedule.sender],
  ].filter(Boolean);
}

function Confirm({ schedule, found, when, zone }) {
  const reached = found.recipients.total - found.suppressed;
  const act = async () => {
    if (when === "now") await patch(`/v1/schedules/${schedule.id}`, { run_at: new Date(Date.now() + AT_ONCE_MS).toISOString() });
    await post(`/v1/schedules/${schedule.id}/activate`);
    open(`schedules/${schedule.id}`, {}, true);
  };
  const at = when === "now" ? C.atOnce : timeIn(schedule.run_at, zone);
  const question = [
    C.question(number(reached), number(found.parts_total), at), found.cost && C.cost(costOf(found)), found.is_sample && C.sampled,
    html`<span class="message">${schedule.message}</span>`,
    found.not_sent_in_time > 0 && C.notInTime(number(found.not_sent_in_time)),
  ];
  return html`<${ActionButton} label=${C.send(number(reached))} title=${C.confirmTitle} confirm=${C.confirm(number(reached))} primary
    question=${question} act=${act} />`;
}

/** The numbers of the dry run, and the button that sends. */
export function Check({ schedule, when, zone, can }) {
  const load = () => dryRun(schedule, when);
  const total = schedule.recipients.total;
  const { data: found, error } = useData(load, [schedule.id, schedule.message, when, when === "at" && schedule.run_at, total]);
  if (!found) return html`<section><h2>${C.title}</h2><${ErrorBox} error=${error} />${!error && html`<${Loading} />`}</section>`;
  return html`<section><h2>${C.title}</h2>
    <dl>${facts(schedule, found, when, zone).map(([term, what]) => html`<dt>${term}</dt><dd>${what}</dd>`)}</dl>
    ${found.not_sent_in_time > 0 && html`<${Notice} kind="warning">${C.notInTime(number(found.not_sent_in_time))}<//>`}
    ${found.recipients.total === 0 && html`<${Notice} kind="warning">${C.nobody}<//>`}
    ${found.recipients.total > 0 && !found.accepted && html`<${Notice} kind="warning">${C.past}<//>`}
    ${found.accepted && can("schedules:write") && html`<p><${Confirm} schedule=${schedule} found=${found} when=${when} zone=${zone} /></p>`}
  </section>`;
}

const row = ({ seq, phone, text }) => {
  const { parts, encoding } = measure(text);
  return [number(seq), phone ?? "–", html`<span class="message">${text}</span>`, `${parts} (${encoding})`];
};

/** The texts as people would get them: page by page, or that of one number. */
export function Preview({ id }) {
  const [phone, setPhone] = useState("");
  const [asked, setAsked] = useState("");
  const [cursor, setCursor] = useState("");
  const load = () => get("/v1/messages", { schedule_id: id, phone: asked, status: "PENDING", limit: 10, cursor });
  const { data, error } = useData(load, [id, asked, cursor]);
  const submit = (event) => {
    event.preventDefault();
    setCursor("");
    setAsked(phone.trim());
  };
  return html`<section><h2>${C.preview}</h2><form class="filters" onSubmit=${submit}>
      <${Input} label=${C.number} type="tel" value=${phone} onValue=${setPhone} /><button type="submit">${T.schedules.find}</button></form>
    <${ErrorBox} error=${error} />
    ${data && html`<${Table} caption=${C.preview} head=${C.previewHead} numeric=${[0]} rows=${data.messages.map(row)} empty=${C.noText} />
      <p class="actions">${cursor && html`<button type="button" onClick=${() => setCursor("")}>${T.first}</button>`}
        ${data.next_cursor && html`<button type="button" onClick=${() => setCursor(data.next_cursor)}>${T.more}</button>`}</p>`}</section>`;
}
