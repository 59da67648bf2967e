// One schedule: how far it is, what comes next, what can be done, its batches and its history.
import { html, useEffect, useState } from "./preact.js";
import { get } from "./api.js";
import { duration, fromNow, milliseconds, nameOf, number, percent, time } from "./format.js";
import { linkTo } from "./router.js";
import { Actions, ReportButton } from "./schedule-actions.js";
import { T } from "./texts.js";
import { Badge, Bar, ErrorBox, Loading, Notice, Page, Table, useData } from "./ui.js";

const EVERY_MS = 3000;
const RARELY_MS = 15_000;
const S = T.schedule;

const withRelative = (text) => html`<time datetime=${text}>${time(text)}</time> <span class="hint">${fromNow(text)}</span>`;

function windowText(window) {
  return S.windowText(window.days.join(", "), window.from, window.to, window.zone);
}

/** Returns what is waited for: the hours of a schedule whose time has passed. */
function opening(schedule) {
  const { status, window, run_at: runAt, next_send_at: next } = schedule;
  const isWaiting = status === "scheduled" && window && new Date(runAt) < new Date() && new Date(next) > new Date();
  return isWaiting && html`<${Notice}>${S.opens(time(next), fromNow(next))}<//>`;
}

const took = ({ p50, p99, max }) => S.took(milliseconds(p50), milliseconds(p99), milliseconds(max));
const linkOf = (id) => html`<a href=${linkTo(`schedules/${id}`)}>${T.pages.schedule}</a>`;

/** Says how far the first recipients are, after whom the rest waits. */
function canaryText({ state, delivered, failed, undecided, delivered_share: share }) {
  return S.canaryText(S.canaryStates[state], number(delivered), number(failed), number(undecided), percent(share));
}

/** Returns the facts that apply, as pairs of a term and what it is. */
function facts(schedule) {
  const { forecast } = schedule;
  const limit = forecast?.limited_by && S.limits[forecast.limited_by];
  return [
    [S.runAt, withRelative(schedule.run_at)],
    schedule.changeable_until && [S.changeableUntil, withRelative(schedule.changeable_until)],
    schedule.next_send_at && [S.nextSendAt, withRelative(schedule.next_send_at)],
    forecast?.planned_end && [S.plannedEnd, withRelative(forecast.planned_end)],
    forecast && [S.speed, S.speedText(number(Math.round(forecast.parts_per_second)), duration(forecast.duration_s), limit)],
    forecast?.capacity_used && [S.capacity, percent(forecast.capacity_used)],
    forecast?.not_sent_in_time > 0 && [S.notInTime, number(forecast.not_sent_in_time)],
    schedule.cost && [T.money.cost, T.money.spent(schedule.cost.spent, schedule.cost.planned, schedule.cost.currency)],
    schedule.finished_at && [S.finishedAt, withRelative(schedule.finished_at)],
    schedule.outcome && [S.outcome, S.outcomes[schedule.outcome]],
    schedule.summary?.due_to_sent_ms.count > 0 && [S.dueToSent, took(schedule.summary.due_to_sent_ms)],
    schedule.summary?.sent_to_final_ms.count > 0 && [S.sentToFinal, took(schedule.summary.sent_to_final_ms)],
    schedule.resend_of && [S.resendOf, linkOf(schedule.resend_of)],
    schedule.resent_by && [S.resentBy, linkOf(schedule.resent_by)],
    schedule.canary && [S.canary, canaryText(schedule.canary)],
    schedule.send_until && [S.sendUntil, withRelative(schedule.send_until)],
    schedule.window && [S.window, windowText(schedule.window)],
    schedule.rate && [S.rate, S.rateText(number(schedule.rate))],
    [S.priority, T.priorities[schedule.priority]],
    schedule.sender && [S.sender, schedule.sender],
    schedule.reference && [S.reference, schedule.reference],
    schedule.labels.length > 0 && [S.labels, schedule.labels.join(", ")],
    [S.parts, schedule.encoding ? S.partsText(number(schedule.parts), schedule.encoding) : S.partsMost(number(schedule.parts))],
    [S.createdAt, withRelative(schedule.created_at)],
  ].filter(Boolean);
}

const LOADERS = {
  plot: () => import("./plot.js"), recipients: () => import("./recipients.js"), groups: () => import("./groups.js"),
  approval: () => import("./approval.js"),
};

/** A part of the page whose module is loaded when it is shown. */
function Lazy({ name, ...rest }) {
  const [Part, setPart] = useState(null);
  useEffect(() => {
    // Without the module, as after a deployment, the page has all of its other parts.
    LOADERS[name]().then((module) => setPart(() => module.default), () => {});
  }, [name]);
  return Part ? html`<${Part} ...${rest} />` : html`<${Loading} />`;
}

/** A part that is loaded when it is opened. */
function Folded({ title, isOpen = false, ...rest }) {
  const [open, setOpen] = useState(isOpen);
  return html`<details open=${open} onToggle=${(event) => setOpen(event.target.open)}><summary><h2>${title}</h2></summary>
    ${open && html`<${Lazy} ...${rest} />`}</details>`;
}

function Counts({ schedule }) {
  const total = schedule.recipients.total;
  const entries = total + schedule.counts.INVALID;
  const shown = Object.entries(schedule.counts).filter(([, count]) => count > 0);
  const rows = shown.map(([status, count]) => [
    status, number(count), percent(count / Math.max(entries, 1)), T.status[status],
    html`<${ReportButton} schedule=${schedule} status=${status} label=${T.report.these} />`,
  ]);
  return html`<section><h2>${S.progress}</h2><${Bar} counts=${schedule.counts} />
    ${schedule.already_sent > 0 && html`<${Lazy} name="plot" schedule=${schedule} />`}
    <p>${S.sentOf(number(schedule.already_sent), number(total))}
      ${schedule.recipients.duplicates > 0 && S.duplicates(number(schedule.recipients.duplicates))}</p>
    <${Table} caption=${S.counts} head=${S.countsHead} numeric=${[1, 2]} rows=${rows} />
    <p><${ReportButton} schedule=${schedule} /></p></section>`;
}

/** Returns whether a budget has paused the schedule: the API's reason begins so. */
const isOverBudget = ({ status, pause_reason: why }) => status === "paused" && Boolean(why?.startsWith("budget of "));

function Attention({ schedule, can }) {
  const { kinds } = schedule.attention;
  if (kinds.length === 0) return null;
  return html`<${Notice} kind="warning"><p>${S.attention}</p>
    <ul>${kinds.map((kind) => html`<li>${T.attention.kinds[kind].title}: ${T.attention.kinds[kind].text}</li>`)}</ul>
    ${isOverBudget(schedule) && html`<p>${T.money.overBudget} <a href=${linkTo("money")}>${T.pages.money}</a></p>`}
    ${can("attention:read") && html`<p><a href=${linkTo("attention")}>${T.pages.attention}</a></p>`}<//>`;
}

const BATCH_ROW = (batch) => [
  number(batch.batch_no), `${number(batch.first_seq)} – ${number(batch.last_seq)}`, S.batchStates[batch.state],
  time(batch.send_at ?? batch.check_at ?? batch.planned_at), number(batch.tries), number(batch.crashes),
];

/** A list that is loaded when it is opened, page by page. */
function Opened({ title, path, query, member, head, row, numeric }) {
  const [pages, setPages] = useState([]);
  const [error, setError] = useState(null);
  const more = async () => {
    setError(null);
    try {
      const page = await get(path, { ...query, cursor: pages.at(-1)?.next_cursor });
      setPages((known) => [...known, page]);
    } catch (problem) {
      setError(problem);
    }
  };
  const opened = (event) => event.target.open && pages.length === 0 && more();
  const rows = pages.flatMap((page) => page[member]).map(row);
  return html`<details onToggle=${opened}><summary><h2>${title}</h2></summary><${ErrorBox} error=${error} />
    ${pages.length > 0 && html`<${Table} caption=${title} head=${head} rows=${rows} numeric=${numeric} />`}
    ${pages.at(-1)?.next_cursor && html`<button type="button" onClick=${more}>${T.more}</button>`}</details>`;
}

const HISTORY_ROW = (entry) => [time(entry.at), entry.actor_name, entry.action, JSON.stringify(entry.after ?? {})];

export default function Schedule({ id, can }) {
  const [changed, setChanged] = useState(null);
  const load = () => get(`/v1/schedules/${id}`);
  const [pace, setPace] = useState(EVERY_MS);
  const { data, error, reload } = useData(load, [id], pace);
  const done = (schedule) => {
    setChanged(T.scheduleStatus[schedule.status]);
    reload();
  };
  if (!data) return html`<${Page} title=${T.pages.schedule} /><${ErrorBox} error=${error} />${!error && html`<${Loading} />`}`;
  const wanted = ["running", "scheduled", "awaiting-approval"].includes(data.status) ? EVERY_MS : RARELY_MS;
  if (wanted !== pace) setPace(wanted);
  return html`<${Page} title=${nameOf(data)} actions=${html`<${Actions} schedule=${data} can=${can} done=${done} />`} />
    <${ErrorBox} error=${error} />
    <p aria-live="polite"><${Badge} status=${data.status} /> ${changed && S.changed(changed)}
      ${(data.pause_reason ?? data.reason) && html` ${S.reason}: ${data.pause_reason ?? data.reason}`}</p>
    ${opening(data)}<${Attention} schedule=${data} can=${can} />
    ${data.status === "awaiting-approval" && html`<${Lazy} name="approval" schedule=${data} can=${can} reload=${done} />`}<${Counts} schedule=${data} />
    <section><h2>${S.plan}</h2><dl>${facts(data).map(([term, what]) => html`<dt>${term}</dt><dd>${what}</dd>`)}</dl></section>
    <section><h2>${S.text}</h2><p class="message">${data.message}</p></section>
    <${Folded} key=${`people-${id}`} title=${T.recipients.title} name="recipients" isOpen=${data.attention.uncertain > 0}
      schedule=${data} can=${can} reload=${reload} />
    <${Folded} key=${`groups-${id}`} title=${T.byGroup.title} name="groups" id=${id} />
    ${data.dispatched_at && html`<${Opened} title=${S.batches} path=${`/v1/schedules/${id}/batches`} query=${{ limit: 50 }}
      member="batches" head=${S.batchesHead} row=${BATCH_ROW} numeric=${[0, 4, 5]} />`}
    ${can("audit:read") && html`<${Opened} title=${S.history} path="/v1/audit" query=${{ resource: `schedule:${id}`, limit: 50 }}
      member="entries" head=${S.historyHead} row=${HISTORY_ROW} />`}`;
}
