// The text of a message with its length, its variables, and the characters that make it expensive.
import { html, useRef } from "./preact.js";
import { number } from "./format.js";
import { fixedPart, measure, replacementOf, simplified, variableOf, variablesOf } from "./sms-text.js";
import { T } from "./texts.js";
import { Field, Notice } from "./ui.js";

const E = T.text;
const shownCharacter = (character) => `“${character}” (U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")})`;

function Expensive({ forcedBy, simplify }) {
  const replaceable = forcedBy.filter((character) => replacementOf(character) !== null);
  return html`<${Notice} kind="warning"><p>${E.forced(forcedBy.slice(0, 8).map(shownCharacter).join(", "))}</p>
    ${replaceable.length > 0 && html`<p>${E.replaceText(replaceable.map((one) => `“${one}” → “${replacementOf(one)}”`).join(", "))}</p>
      <button type="button" onClick=${simplify}>${E.replace}</button>`}<//>`;
}

/** The text area. `columns` are the columns of the list, which a text may name. */
export function TextEditor({ value, onValue, columns = [] }) {
  const area = useRef();
  const variables = variablesOf(value);
  const { encoding, units, parts, left, forcedBy } = measure(fixedPart(value));
  const offered = columns.map(variableOf).filter(Boolean);
  const unknown = columns.length ? variables.filter((name) => !offered.includes(name)) : [];
  const insert = (name) => {
    const { selectionStart, selectionEnd } = area.current;
    onValue(`${value.slice(0, selectionStart)}{{${name}}}${value.slice(selectionEnd)}`);
    area.current.focus();
  };
  return html`<${Field} label=${E.label} hint=${E.hint}>${(attributes) => html`<textarea ...${attributes} ref=${area} rows="5"
      required name="message" value=${value} onInput=${(event) => onValue(event.target.value)}></textarea>`}<//>
    <p role="status" data-count=${`${encoding} ${units} ${parts}`}>${E.length(number(units), number(left), number(parts), encoding)}
      ${variables.length > 0 && ` ${E.without}`}</p>
    ${offered.length > 0 && html`<p>${E.insert} ${offered.map((name) => html`<button type="button" onClick=${() => insert(name)}>
      ${name}</button> `)}</p>`}
    ${unknown.length > 0 && html`<${Notice} kind="warning">${E.unknown(unknown.join(", "))}<//>`}
    ${forcedBy.length > 0 && html`<${Expensive} forcedBy=${forcedBy} simplify=${() => onValue(simplified(value))} />`}`;
}
