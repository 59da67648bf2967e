// Carries out the README's first schedule with the generated TypeScript client.
//
// A user logs in, asks what a schedule would do, creates it as a draft, appends a list, activates
// it, and follows it to its end. API_URL, USERNAME and PASSWORD are in the environment.

import createClient from "openapi-fetch";
import type { components, paths } from "./api.ts";

declare const process: { env: Record<string, string | undefined> };

type Schemas = components["schemas"];
const WAIT_MS = 60_000;
const TEXT = "Dear {{name}}, doors open at 8";
const LIST = "name,phone\nAna,+60123456789\nBo,+60123456780\n";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

/** Returns the JSON of an answer, not the text of a report; throws the problem if there is none. */
function expect<Data>(answer: { data?: Data; error?: unknown }): Exclude<Data, string> {
  const { data } = answer;
  if (data === undefined) throw new Error(JSON.stringify(answer.error));
  if (typeof data === "string") throw new Error(`not JSON: ${data}`);
  return data as Exclude<Data, string>;
}

function assertEqual(what: string, found: unknown, expected: unknown) {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what}: ${left}, expected ${right}`);
}

const client = createClient<paths>({ baseUrl: variable("API_URL") });
const account = { username: variable("USERNAME"), password: variable("PASSWORD") };
const tokens = expect(await client.POST("/v1/auth/login", { body: account }));
client.use({
  onRequest({ request }) {
    request.headers.set("authorization", `Bearer ${tokens.access_token}`);
  },
});

const soon = new Date(Date.now() + 3_000).toISOString();
const ana: Schemas["RecipientEntry"] = { phone: "+60123456789", vars: { name: "Ana" } };
const planned = { run_at: soon, message: TEXT, recipients: [ana] };
const dryRun = await client.POST("/v1/schedules", {
  params: { query: { dry_run: true } },
  body: planned,
});
const dry = expect(dryRun);
if (!("requests" in dry)) throw new Error(`no dry run: ${JSON.stringify(dry)}`);
assertEqual("requests of the dry run", dry.requests, 1);

const draft = { run_at: soon, message: TEXT, draft: true as const };
const created = expect(await client.POST("/v1/schedules", { body: draft }));
if (!("id" in created)) throw new Error(`not created: ${JSON.stringify(created)}`);
const path = { id: created.id };
const table = await client.POST("/v1/schedules/{id}/recipients", {
  params: { path },
  headers: { "content-type": "text/csv" },
  body: LIST,
  bodySerializer: (body: unknown) => String(body),
});
assertEqual("accepted of the table", expect(table).accepted, 2);
const list: Schemas["RecipientList"] = { recipients: [ana] };
const again = expect(
  await client.POST("/v1/schedules/{id}/recipients", { params: { path }, body: list }),
);
assertEqual("accepted of the list", [again.accepted, again.duplicates], [0, 1]);
expect(await client.POST("/v1/schedules/{id}/activate", { params: { path } }));

const deadline = Date.now() + WAIT_MS;
for (;;) {
  const schedule = expect(await client.GET("/v1/schedules/{id}", { params: { path } }));
  if (schedule.status === "finished") break;
  if (Date.now() > deadline) throw new Error(`not finished: ${JSON.stringify(schedule)}`);
  await sleep(500);
}

const page = expect(await client.GET("/v1/schedules/{id}/recipients", { params: { path } }));
const found = page.recipients.map((recipient) => [recipient.phone, recipient.status]);
assertEqual("recipients", found, [
  ["+60123456789", "DELIVRD"],
  ["+60123456780", "DELIVRD"],
]);
const query = { phone: "+60123456789", limit: 1 };
const message = expect(await client.GET("/v1/messages", { params: { query } })).messages[0];
assertEqual("the latest message", message?.schedule_id, created.id);
expect(await client.GET("/v1/attention"));
console.log(`TypeScript client: schedule ${created.id}, 2 of 2 DELIVRD`);
