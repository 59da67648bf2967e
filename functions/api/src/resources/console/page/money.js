// Money: what messages cost, and the budgets of people, of keys and of all sending.
import { html, useState } from "./preact.js";
import { get, patch, post, remove, request } from "./api.js";
import { FileInput } from "./file-choice.js";
import { number, time } from "./format.js";
import { isOther, isSpreadsheet } from "./spreadsheet.js";
import { T } from "./texts.js";
import { ActionButton, ErrorBox, Input, Loading, Notice, Page, Select, Table, useData } from "./ui.js";

const M = T.money;
const EVERY_MS = 10_000;
const SHOWN = 100;

/** Names the line of each error. */
function withLines(problem) {
  const located = ({ field, position, ...rest }) => ({ ...rest, field: position ? M.line(number(position), field) : field });
  problem.errors = problem.errors?.map(located);
  return problem;
}

function Prices({ prices, can, done }) {
  const [currency, setCurrency] = useState(prices.currency ?? "EUR");
  const [imported, setImported] = useState(null);
  const [error, setError] = useState(null);
  const read = async (file) => {
    setImported(null);
    setError(null);
    if (isSpreadsheet(file) || isOther(file)) return setError({ title: M.notCsv, message: M.notCsvText });
    try {
      const options = { body: file, type: "text/csv", query: { currency: currency.toUpperCase() } };
      setImported(await (await request("PUT", "/v1/prices", options)).json());
      return done();
    } catch (problem) {
      return setError(withLines(problem));
    }
  };
  const hasPrices = prices.prices.length > 0;
  return html`<section><h2>${M.prices}</h2>
    <p>${hasPrices ? M.version(prices.version, prices.currency, time(prices.created_at)) : M.noPrices}</p>
    ${hasPrices && html`<${Table} caption=${M.prices} head=${M.priceHead} numeric=${[1]} rows=${prices.prices.map(
      ({ prefix, price, name }) => [`+${prefix}`, price, name ?? "–"],
    )} />`}
    ${prices.next_cursor && html`<p>${M.morePrices(SHOWN)}</p>`}
    ${can("money") && html`<h3>${M.import}</h3><${Input} label=${M.currency} hint=${M.currencyHint} maxlength="3" value=${currency} onValue=${setCurrency} />
      <${FileInput} label=${M.file} hint=${M.fileHint} onFile=${read} /><${ErrorBox} error=${error} />
      ${imported && html`<${Notice}>${M.imported(number(imported.prices), imported.version)}<//>`}`}</section>`;
}

/** The used share of a budget as a bar, and as text for those who do not see it. */
const Used = ({ budget }) => html`<progress max="100" value=${Math.min(budget.used_percent, 100)} aria-label=${M.usedOf(budget.used, budget.amount)}></progress>
  ${" "}${M.usedText(budget.used, budget.amount, budget.used_percent)}`;

function NewBudget({ names, done }) {
  const scopes = [["system", M.system], ...Object.entries(names)];
  const fields = (values, set) => html`<${Input} label=${M.scope} hint=${M.scopeHint} required list="scopes" autocomplete="off"
      value=${values.scope} onValue=${set("scope")} />
    <datalist id="scopes">${scopes.map(([scope, name]) => html`<option value=${scope}>${name}</option>`)}</datalist>
    <${Select} label=${M.period} value=${values.period} onValue=${set("period")} options=${Object.entries(M.periods)} />
    <${Select} label=${M.unit} value=${values.unit} onValue=${set("unit")} options=${Object.entries(M.units)} />
    <${Input} label=${M.amount} required inputmode="decimal" value=${values.amount} onValue=${set("amount")} />`;
  const act = async (values) => {
    await post("/v1/budgets", { ...values, scope: values.scope.trim(), amount: values.amount.trim() });
    done();
  };
  return html`<${ActionButton} label=${M.add} question=${[M.addText]} confirm=${M.add} fields=${fields} act=${act}
    initial=${{ scope: "system", period: "day", unit: "parts", amount: "" }} />`;
}

function Change({ budget, name, done }) {
  const path = `/v1/budgets/${budget.id}`;
  const fields = (values, set) => html`<${Input} label=${M.amount} required inputmode="decimal" value=${values.amount} onValue=${set("amount")} />`;
  const save = async ({ amount }) => {
    await patch(path, { amount: amount.trim() });
    done();
  };
  const drop = async () => {
    await remove(path);
    done();
  };
  return html`<${ActionButton} label=${M.change} title=${M.changeTitle(name)} question=${[M.changeText]} confirm=${T.save}
      initial=${{ amount: budget.amount }} fields=${fields} act=${save} />
    <${ActionButton} label=${M.remove} title=${M.removeTitle(name)} question=${[M.removeText]} confirm=${M.remove} danger act=${drop} />`;
}

function Budgets({ budgets, names, can, done }) {
  const nameOf = ({ scope }) => (scope === "system" ? M.system : names[scope] ?? scope);
  const head = can("money") ? M.budgetHead : M.budgetHead.slice(0, -1);
  const row = (budget) => [
    nameOf(budget), M.periods[budget.period], M.units[budget.unit],
    html`<${Used} budget=${budget} />`, time(budget.period_end),
    budget.reached_at ? M.reached : budget.warned_at ? M.warned : "–",
    can("money") && html`<span class="actions"><${Change} budget=${budget} name=${nameOf(budget)} done=${done} /></span>`,
  ].slice(0, head.length);
  return html`<section><h2>${M.budgets}</h2><p>${M.budgetsText}</p>
    <${Table} caption=${M.budgets} head=${head} rows=${budgets.map(row)}
      empty=${can("money") ? M.noBudgets : M.noneForYou} />
    ${can("money") && html`<p><${NewBudget} names=${names} done=${done} /></p>`}</section>`;
}

/** Returns all rows of a list. */
async function all(path, member) {
  const rows = [];
  let cursor;
  do {
    const page = await get(path, { limit: 200, cursor });
    rows.push(...page[member]);
    cursor = page.next_cursor;
  } while (cursor);
  return rows;
}

/** Returns the names of people and of keys by their scope, as far as the caller may see them. */
async function loadNames(can) {
  const [users, keys] = await Promise.all([can("users") ? all("/v1/users", "users") : [], can("api-keys") ? all("/v1/api-keys", "api_keys") : []]);
  const people = users.map(({ id, username }) => [`user:${id}`, M.person(username)]);
  return Object.fromEntries([...people, ...keys.map(({ id, name }) => [`key:${id}`, M.key(name)])]);
}

export default function Money({ can }) {
  const load = async () => {
    const [prices, { budgets }] = await Promise.all([get("/v1/prices", { format: "json", limit: SHOWN }), get("/v1/budgets")]);
    return { prices, budgets };
  };
  const { data, error, reload } = useData(load, [], EVERY_MS);
  // Without them, the budgets are shown with their ids.
  const { data: names } = useData(() => loadNames(can), []);
  return html`<${Page} title=${T.pages.money} /><${ErrorBox} error=${error} />${!data && !error && html`<${Loading} />`}
    ${data && html`<${Budgets} budgets=${data.budgets} names=${names ?? {}} can=${can} done=${reload} />
      <${Prices} prices=${data.prices} can=${can} done=${reload} />`}`;
}
