// The length of a text in parts, counted as the API counts it (shared/src/message/text.rs), so that
// it can be shown while somebody types. A dry run of the API has the last word.

const GSM_BASIC = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const GSM_EXTENSION = new Set("\f^{}\\[~]|€");
const SIZES = { "GSM-7": { alone: 160, joined: 153 }, "UCS-2": { alone: 70, joined: 67 } };

// What people and word processors write instead of a character of GSM 03.38.
const REPLACEMENTS = new Map([
  ["‘", "'"], ["’", "'"], ["‚", ","], ["‛", "'"], ["“", '"'], ["”", '"'], ["„", '"'], ["«", '"'], ["»", '"'],
  ["–", "-"], ["—", "-"], ["−", "-"], ["‐", "-"], ["‑", "-"], ["…", "..."], ["•", "-"], ["·", "."], ["×", "x"],
  ["\u00a0", " "], ["\u2009", " "], ["\u202f", " "], ["\u200b", ""], ["\u200e", ""], ["\ufeff", ""], ["\t", " "],
  ["`", "'"], ["´", "'"], ["ç", "Ç"], ["°", " deg"], ["™", "(TM)"], ["®", "(R)"], ["©", "(C)"], ["½", "1/2"],
]);

const septets = (character) => (GSM_BASIC.has(character) ? 1 : GSM_EXTENSION.has(character) ? 2 : 0);

/** Returns what can stand for a character in GSM 03.38, or null. */
export function replacementOf(character) {
  if (REPLACEMENTS.has(character)) return REPLACEMENTS.get(character);
  const plain = character.normalize("NFD").replace(/\p{M}/gu, "");
  return plain && plain !== character && [...plain].every(septets) ? plain : null;
}

/** Returns the encoding, the units, the parts, and the characters that force UCS-2. */
export function measure(text) {
  const characters = [...text];
  const forcedBy = [...new Set(characters.filter((character) => !septets(character)))];
  const encoding = forcedBy.length ? "UCS-2" : "GSM-7";
  const sizes = characters.map((character) => (forcedBy.length ? character.length : septets(character)));
  const units = sizes.reduce((sum, size) => sum + size, 0);
  const { alone, joined } = SIZES[encoding];
  return { encoding, units, parts: units <= alone ? 1 : joinedParts(sizes, joined), forcedBy, left: left(units, alone, joined) };
}

// A character of two units that does not fit into a part moves to the next one as a whole.
function joinedParts(sizes, partSize) {
  let [parts, used] = [1, 0];
  for (const size of sizes) {
    if (used + size > partSize) [parts, used] = [parts + 1, size];
    else used += size;
  }
  return parts;
}

function left(units, alone, joined) {
  return units <= alone ? alone - units : (joined - (units % joined)) % joined;
}

/** Returns the text with each character that can be replaced in GSM 03.38 replaced. */
export function simplified(text) {
  return [...text].map((character) => (septets(character) ? character : replacementOf(character) ?? character)).join("");
}

/** Returns the names of the variables of a text. */
export function variablesOf(text) {
  const found = [...text.matchAll(/\{\{\s*([A-Za-z_]\w*)/g)].map(([, name]) => name.toLowerCase());
  return [...new Set(found)];
}

/** Returns the text without its variables: what is the same for everybody. */
export const fixedPart = (text) => text.replace(/\{\{.*?\}\}/gs, "");

/** Returns the variable of a column, as the API names it; null if a text cannot name it. */
export function variableOf(column) {
  const name = column.trim().toLowerCase().replace(/[^\p{L}\p{N}]/gu, "_");
  return /^[a-z_]\w*$/.test(name) ? name : null;
}
