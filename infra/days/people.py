"""People as a spreadsheet has them: valid mobile numbers of Malaysia in many spellings, names in
several alphabets, and rows that are damaged.
"""

import time

# As in infra/demo: `+6011`, a digit from 1 to 5, and seven more digits.
# Each day has a third of these numbers, and each run a slot of its own there.
DAY = 15_000_000
SLOT, SLOTS, SLOT_S = 70_000, 200, 10
STORES = ("Penang", "Ipoh", "Kuala Lumpur", "Johor Bahru")
# Semicolons and quotes inside of a field are doubled and quoted when it is written.
NAMES = ("Ana", "José", "Zoë", "O’Brien", "Tan; Mei", 'Ng "Ah" Seng', "Łukasz", "Mei 🎉", "伟")
SPELLINGS = (
    "0{0}{1}{2}",
    "0{0}-{1} {2}",
    "+60 {0} {1} {2}",
    "60{0}{1}{2}",
    "60{0}-{1}{2}",
    "'0{0}{1}{2}",
    "60{0}{1}{2}.0",
    "(0{0}) {1}.{2}",
    "0060{0}{1}{2}",
    "+60\N{NO-BREAK SPACE}{0}\N{EN DASH}{1}{2}",
)
# Entries that are no mobile numbers: cut by a spreadsheet, landlines, remarks.
DAMAGED = ("6.01235E+10", "04-261 8888", "12", "n/a", "#REF!")


def first_number(day):
    """Returns the index of the first number of a run of the first, second or third day.

    The slots repeat after half an hour. Only a campaign leaves something behind, people who have
    opted out, and the next one with these numbers lets the same people opt out.
    """
    return day * DAY + int(time.time() / SLOT_S) % SLOTS * SLOT


def number(at):
    """Returns the number at an index, in E.164."""
    return f"+6011{10_000_000 + at:08}"


def spelled(phone, at):
    """Returns a number as it is written in a row."""
    digits = phone.removeprefix("+60")
    return SPELLINGS[at % len(SPELLINGS)].format(digits[:2], digits[2:6], digits[6:])


def name(at, charset):
    """Returns a name that an encoding has."""
    possible = []
    for each in NAMES:
        try:
            each.encode(charset)
        except UnicodeEncodeError:
            continue
        possible.append(each)
    return possible[at % len(possible)]


def field(text):
    """Returns a field of a table with semicolons."""
    if ";" in text or '"' in text:
        doubled = text.replace('"', '""')
        return f'"{doubled}"'
    return text
