// What a person may do with a schedule, each with a question that names the people it affects.
import { html, useState } from "./preact.js";
import { patch, post, report } from "./api.js";
import { grouped, nameOf, number, time } from "./format.js";
import { Resend } from "./resend.js";
import { T } from "./texts.js";
import { ActionButton, Checkbox, ErrorBox, Input, saveFile, Select } from "./ui.js";

const A = T.actions;
const reason = (values, set) =>
  html`<${Input} label=${A.reason} hint=${A.reasonHint} maxlength="200" value=${values.reason} onValue=${set("reason")} />`;
const bodyWith = (values) => (values.reason ? { reason: values.reason } : {});

/** Lines that count the people whom an action affects: those who wait, and those to whom it was sent. */
function people(schedule) {
  const sums = grouped(schedule.counts);
  return A.people(number(sums.waiting), number(schedule.already_sent));
}

function Pause({ schedule, done }) {
  const act = async (values) => done(await post(`/v1/schedules/${schedule.id}/pause`, bodyWith(values)));
  return html`<${ActionButton} label=${A.pause} title=${A.pauseTitle(nameOf(schedule))} confirm=${A.pause}
    question=${[people(schedule), A.pauseText]} initial=${{ reason: "" }} fields=${reason} act=${act} />`;
}

function Resume({ schedule, done }) {
  // What had not begun keeps its time. If that has passed, the API wants to hear "now".
  const late = !schedule.dispatched_at && new Date(schedule.run_at) < new Date();
  const act = async () => done(await post(`/v1/schedules/${schedule.id}/resume`, late ? { now: true } : {}));
  const text = late ? A.resumeLate : schedule.dispatched_at ? A.resumeRunning : A.resumeText(time(schedule.run_at));
  return html`<${ActionButton} label=${A.resume} title=${A.resumeTitle(nameOf(schedule))} confirm=${A.resume}
    question=${[people(schedule), text]} act=${act} />`;
}

function Cancel({ schedule, done }) {
  const act = async (values) => done(await post(`/v1/schedules/${schedule.id}/cancel`, bodyWith(values)));
  return html`<${ActionButton} label=${A.cancel} title=${A.cancelTitle(nameOf(schedule))} confirm=${A.cancelConfirm} danger
    question=${[people(schedule), A.cancelText]} initial=${{ reason: "" }} fields=${reason} act=${act} />`;
}

function SendNow({ schedule, done }) {
  const act = async () => done(await post(`/v1/schedules/${schedule.id}/send-now`));
  return html`<${ActionButton} label=${A.sendNow} title=${A.sendNowTitle(nameOf(schedule))} confirm=${A.sendNow}
    question=${[people(schedule), A.sendNowText]} act=${act} />`;
}

const PRIORITIES = ["high", "normal", "bulk"];

function Speed({ schedule, done, can }) {
  const initial = { rate: schedule.rate ?? "", unlimited: schedule.rate === null, priority: schedule.priority };
  const act = async (values) => {
    const body = { rate: values.unlimited ? null : Number(values.rate) };
    if (values.priority !== schedule.priority) body.priority = values.priority;
    done(await patch(`/v1/schedules/${schedule.id}`, body));
  };
  const offered = PRIORITIES.filter((one) => one !== "high" || can("schedules:high") || schedule.priority === "high");
  const fields = (values, set) => html`<${Checkbox} label=${A.unlimited} checked=${values.unlimited} onValue=${set("unlimited")} />
    ${!values.unlimited && html`<${Input} label=${A.rate} type="number" min="1" max="10000" required
      value=${values.rate} onValue=${set("rate")} />`}
    <${Select} label=${T.schedule.priority} value=${values.priority} onValue=${set("priority")}
      options=${offered.map((one) => [one, T.priorities[one]])} />`;
  return html`<${ActionButton} label=${A.speed} title=${A.speedTitle(nameOf(schedule))} confirm=${A.change}
    question=${[people(schedule), A.speedText]} initial=${initial} fields=${fields} act=${act} />`;
}

const IN_PROGRESS = ["scheduled", "running"];

/** The buttons that the state of the schedule and the permissions of the caller allow. */
export function Actions({ schedule, can, done }) {
  const shared = { schedule, done, can };
  const { status } = schedule;
  const missed = status === "missed" || (status === "running" && schedule.attention.missed_batches > 0);
  if (!can("schedules:write")) return null;
  return html`${IN_PROGRESS.includes(status) && html`<${Pause} ...${shared} />`}
    ${status === "paused" && html`<${Resume} ...${shared} />`}
    ${missed && can("attention:write") && html`<${SendNow} ...${shared} />`}
    ${[...IN_PROGRESS, "paused"].includes(status) && html`<${Speed} ...${shared} />`}
    ${status === "finished" && html`<${Resend} schedule=${schedule} />`}
    ${!["finished", "cancelled"].includes(status) && html`<${Cancel} ...${shared} />`}`;
}

/** Fetches the report of a schedule page by page, and hands it to the person as one file. */
export function ReportButton({ schedule, status, label = T.report.button }) {
  const [rows, setRows] = useState(null);
  const [error, setError] = useState(null);
  const fetchAll = async () => {
    setError(null);
    setRows(0);
    try {
      const { blob } = await report(`/v1/schedules/${schedule.id}/recipients`, { status }, setRows);
      saveFile(blob, `${nameOf(schedule).replace(/[^\p{L}\p{N}]+/gu, "-")}${status ? `-${status}` : ""}.csv`);
    } catch (problem) {
      setError(problem);
    }
    setRows(null);
  };
  return html`<button type="button" aria-label=${status && rows === null ? `${label} ${status}` : undefined}
    disabled=${rows !== null} onClick=${fetchAll}>
    ${rows === null ? label : T.report.busy(number(rows))}</button><${ErrorBox} error=${error} />`;
}
