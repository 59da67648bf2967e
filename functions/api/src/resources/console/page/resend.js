// Sending again to the people of a finished schedule who got nothing.
import { html } from "./preact.js";
import { post } from "./api.js";
import { nameOf, number } from "./format.js";
import { open } from "./router.js";
import { T } from "./texts.js";
import { ActionButton, Checkbox } from "./ui.js";

const R = T.resend;
const STATES = ["UNDELIV", "EXPIRED", "REJECTD", "DELETED"];
// A draft needs a time; a person chooses another before it is sent.
const DRAFT_IN_MS = 3_600_000;
const MOST_CALLS = 100;

/** Makes the new schedule: a call copies a part of a long list. */
async function resend(id, body) {
  for (let calls = 0; ; calls += 1) {
    const made = await post(`/v1/schedules/${id}/resend`, body);
    if (made.complete || calls > MOST_CALLS) return made;
  }
}

export function Resend({ schedule }) {
  const offered = STATES.filter((state) => schedule.counts[state] > 0);
  if (offered.length === 0) return null;
  const initial = { draft: false, ...Object.fromEntries(offered.map((state) => [state, state === "UNDELIV"])) };
  const chosen = (values) => offered.filter((state) => values[state]);
  const fields = (values, set) => html`${offered.map((state) => html`<${Checkbox} checked=${values[state]} onValue=${set(state)}
      label=${`${T.status[state]}: ${number(schedule.counts[state])}`} />`)}
    <${Checkbox} checked=${values.draft} onValue=${set("draft")} label=${R.draft} />
    <p aria-live="polite"><strong>${R.people(number(chosen(values).reduce((sum, state) => sum + schedule.counts[state], 0)))}</strong></p>`;
  const act = async (values) => {
    const statuses = chosen(values);
    if (statuses.length === 0) throw { title: R.nobody, message: R.nobodyText };
    const later = { draft: true, run_at: new Date(Date.now() + DRAFT_IN_MS).toISOString() };
    const { id } = await resend(schedule.id, { statuses, ...(values.draft ? later : {}) });
    open(values.draft ? `send/${id}` : `schedules/${id}`);
  };
  return html`<${ActionButton} label=${R.button} title=${R.title(nameOf(schedule))} confirm=${R.button}
    question=${[R.text]} initial=${initial} fields=${fields} act=${act} />`;
}
