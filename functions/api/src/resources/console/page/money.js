// Money: what messages cost, and the budgets of people, of keys and of all sending.
import { html, useState } from "./preact.js";
import { get, patch, post, remove, request } from "./api.js";
import { FileInput } from "./file-choice.js";
import { number, time } from "./format.js";
import { T } from "./texts.js";
import { ActionButton, ErrorBox, Input, Loading, Notice, Page, Select, Table, useData } from "./ui.js";

const M = T.money;
const EVERY_MS = 10_000;
const SHOWN = 100;

function Prices({ prices, can, done }) {
  const [currency, setCurrency] = useState(prices.currency ?? "EUR");
  const [imported, setImported] = useState(null);
  const [error, setError] = useState(null);
  const read = async (file) => {
    setImported(null);
    setError(null);
    try {
      const options = { body: file, type: "text/csv", query: { currency: currency.toUpperCase() } };
      setImported(await (await request("PUT", "/v1/prices", options)).json());
      done();
    } catch (problem) {
      setError(problem);
    }
  };
  return html`<section><h2>${M.prices}</h2>
    <p>${prices.version ? M.version(prices.version, prices.currency, time(prices.created_at)) : M.noPrices}</p>
    ${prices.version && html`<${Table} caption=${M.prices} head=${M.priceHead} numeric=${[1]} rows=${prices.prices.map(
      ({ prefix, price, name }) => [`+${prefix}`, price, name ?? "–"],
    )} />`}
    ${prices.next_cursor && html`<p>${M.morePrices(SHOWN)}</p>`}
    ${can("money") && html`<h3>${M.import}</h3><${Input} label=${M.currency} maxlength="3" value=${currency} onValue=${setCurrency} />
      <${FileInput} label=${M.file} hint=${M.fileHint} onFile=${read} /><${ErrorBox} error=${error} />
      ${imported && html`<${Notice}>${M.imported(number(imported.prices), imported.version)}<//>`}`}</section>`;
}

/** The used share of a budget as a bar, and as text for those who do not see it. */
const Used = ({ budget }) => html`<progress max="100" value=${Math.min(budget.used_percent, 100)} aria-label=${M.usedOf(budget.used, budget.amount)}></progress>
  ${" "}${M.usedText(budget.used, budget.amount, budget.used_percent)}`;

function NewBudget({ done }) {
  const fields = (values, set) => html`<${Input} label=${M.scope} hint=${M.scopeHint} required value=${values.scope} onValue=${set("scope")} />
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

function Change({ budget, done }) {
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
  return html`<${ActionButton} label=${M.change} title=${M.changeTitle(budget.scope)} question=${[M.changeText]} confirm=${T.save}
      initial=${{ amount: budget.amount }} fields=${fields} act=${save} />
    <${ActionButton} label=${M.remove} title=${M.removeTitle(budget.scope)} question=${[M.removeText]} confirm=${M.remove} danger act=${drop} />`;
}

function Budgets({ budgets, can, done }) {
  const row = (budget) => [
    budget.scope === "system" ? M.system : budget.scope, M.periods[budget.period], M.units[budget.unit],
    html`<${Used} budget=${budget} />`, time(budget.period_end),
    budget.reached_at ? M.reached : budget.warned_at ? M.warned : "–",
    can("money") ? html`<${Change} budget=${budget} done=${done} />` : "",
  ];
  return html`<section><h2>${M.budgets}</h2><p>${M.budgetsText}</p>
    <${Table} caption=${M.budgets} head=${M.budgetHead} rows=${budgets.map(row)} empty=${M.noBudgets} />
    ${can("money") && html`<p><${NewBudget} done=${done} /></p>`}</section>`;
}

export default function Money({ can }) {
  const load = async () => {
    const [prices, { budgets }] = await Promise.all([get("/v1/prices", { format: "json", limit: SHOWN }), get("/v1/budgets")]);
    return { prices, budgets };
  };
  const { data, error, reload } = useData(load, [], EVERY_MS);
  return html`<${Page} title=${T.pages.money} /><${ErrorBox} error=${error} />${!data && !error && html`<${Loading} />`}
    ${data && html`<${Budgets} budgets=${data.budgets} can=${can} done=${reload} />
      <${Prices} prices=${data.prices} can=${can} done=${reload} />`}`;
}
