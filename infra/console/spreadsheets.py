"""Makes small spreadsheets for the tests, without a library: an XLSX file is a ZIP file of XML."""

import io
import zipfile
from xml.sax.saxutils import escape

TYPES = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'


def cell(value):
    """Returns a cell: a number, or a text."""
    if isinstance(value, int | float):
        return f"<c><v>{value}</v></c>"
    return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>' if value else "<c/>"


def xlsx(sheets):
    """Returns an XLSX file of sheets: each a name with rows of cells."""
    entries, targets, parts = "", "", {}
    for at, (name, rows) in enumerate(sheets.items(), 1):
        entries += f'<sheet name="{escape(name)}" sheetId="{at}" r:id="rId{at}"/>'
        target = f"worksheets/sheet{at}.xml"
        targets += f'<Relationship Id="rId{at}" Type="{RELATION}/worksheet" Target="{target}"/>'
        body = "".join(f"<row>{''.join(cell(value) for value in row)}</row>" for row in rows)
        parts[f"xl/{target}"] = f"<worksheet {MAIN}><sheetData>{body}</sheetData></worksheet>"
    root = f'<Relationship Id="rId1" Type="{RELATION}/officeDocument" Target="xl/workbook.xml"/>'
    parts |= {
        "[Content_Types].xml": TYPES,
        "_rels/.rels": f"<Relationships {PACKAGE}>{root}</Relationships>",
        "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{RELATION}"><sheets>{entries}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f"<Relationships {PACKAGE}>{targets}</Relationships>",
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return file.getvalue()
