// Spreadsheets: the API converts a sheet to CSV, which is then a list like any other. The line of a
// row has its number.
import { requestPatiently } from "./api.js";
import { T } from "./texts.js";

const F = T.file;
// What one call of the API takes.
const MOST_BYTES = 4_600_000;
const TYPES = {
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  ods: "application/vnd.oasis.opendocument.spreadsheet",
};

const extension = (file) => /\.([a-z]+)$/i.exec(file.name)?.[1].toLowerCase();

export const isSpreadsheet = (file) => extension(file) in TYPES;

/** Returns whether a file is of a program whose format nobody reads here. */
export const isOther = (file) => ["xls", "xlsb", "numbers"].includes(extension(file));

/** Converts a sheet, the first unless it is named. Returns it as a file, and the names of the sheets. */
export async function convert(file, sheet) {
  if (file.size > MOST_BYTES) throw { title: F.wrong, message: F.tooLarge };
  const parts = [];
  let answer = {};
  do {
    // Converting twice does no harm, and a key would make the API keep the answer.
    const options = { body: file, type: TYPES[extension(file)], key: null, query: { sheet, after_row: answer.next_after_row } };
    answer = await (await requestPatiently("POST", "/v1/spreadsheets/convert", options)).json();
    parts.push(answer.csv);
  } while (answer.next_after_row);
  const converted = new File(parts, file.name, { type: "text/csv", lastModified: file.lastModified });
  return { file: converted, sheet: answer.sheet, sheets: answer.sheets };
}
