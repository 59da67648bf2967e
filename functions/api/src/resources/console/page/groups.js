// The groups of a schedule's people, with what became of each.
import { html } from "./preact.js";
import { get } from "./api.js";
import { GROUPS, grouped, number } from "./format.js";
import { T } from "./texts.js";
import { ErrorBox, Loading, Table, useData } from "./ui.js";

/** Adds the counts of a page to those before. Pages of a long list have the same groups. */
function add(sums, { group, recipients, counts }) {
  const known = sums.get(group) ?? { recipients: 0, counts: {} };
  known.recipients += recipients;
  for (const [state, count] of Object.entries(counts)) known.counts[state] = (known.counts[state] ?? 0) + count;
  return sums.set(group, known);
}

async function load(id) {
  const sums = new Map();
  let cursor;
  do {
    const page = await get(`/v1/schedules/${id}/groups`, { cursor });
    page.groups.forEach((one) => add(sums, one));
    if (page.other) add(sums, { ...page.other, group: T.byGroup.other });
    cursor = page.next_cursor;
  } while (cursor);
  return [...sums].map(([group, sum]) => ({ group, ...sum }));
}

export default function Groups({ id }) {
  const { data, error } = useData(() => load(id), [id]);
  const kinds = Object.keys(GROUPS);
  const row = ({ group, recipients, counts }) => {
    const sums = grouped(counts);
    return [group ?? T.byGroup.none, number(recipients), ...kinds.map((kind) => number(sums[kind]))];
  };
  return html`<${ErrorBox} error=${error} />${!data && !error && html`<${Loading} />`}
    ${data && html`<${Table} caption=${T.byGroup.title} head=${[...T.byGroup.head, ...kinds.map((kind) => T.groups[kind])]}
      numeric=${[1, ...kinds.map((_, at) => at + 2)]} rows=${data.map(row)} />`}`;
}
