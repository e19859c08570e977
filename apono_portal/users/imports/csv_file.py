"""Reading a CSV file of users: comma, semicolon or tab, quoted or not, with or without a byte order mark."""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from apono_portal.users.exceptions import UserError

MAX_BYTES = 256 * 1024
MAX_ROWS = 500
COLUMNS = ("email", "name", "role", "groups")
DELIMITERS = (",", ";", "\t")
GROUP_SEPARATOR = "|"
NOT_UTF8 = "This file is not UTF-8. In Excel, save it as “CSV UTF-8”, then try again."


@dataclass(frozen=True)
class ImportRow:
    """A row as it stands in the file. ``problem`` says what is wrong with its form, if anything."""

    number: int
    email: str
    name: str = ""
    role: str = ""
    groups: tuple[str, ...] = ()
    problem: str = ""


def parse_users(content: bytes) -> list[ImportRow]:
    """Return the rows of a file. Raises `UserError` with a sentence for one that cannot be read."""
    text = _decode(content)
    header, delimiter = _find_header(text)
    columns = _check_header(header)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        next(reader)
        rows = list(_read_rows(reader, columns))
    except csv.Error:
        raise _refusal(f"Line {reader.line_num} cannot be read. Check its quotes.") from None
    if not rows:
        raise _refusal("This file has a header and no users.")
    return rows


def _decode(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise _refusal(f"This file is larger than {MAX_BYTES // 1024} kB. Split it.")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _refusal(NOT_UTF8)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refusal(NOT_UTF8) from None
    if "\0" in text:
        raise _refusal("This is not a CSV file.")
    if not text.strip():
        raise _refusal("This file is empty.")
    return text


def _find_header(text: str) -> tuple[list[str], str]:
    """Return the column names, and the delimiter with which one of them is the email."""
    for delimiter in DELIMITERS:
        try:
            first = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        except csv.Error:
            continue
        names = [name.strip().casefold() for name in first]
        if "email" in names:
            return names, delimiter
    raise _refusal(f"The first line must name the columns: {', '.join(COLUMNS)}.")


def _check_header(names: list[str]) -> list[str]:
    unknown = [name for name in names if name not in COLUMNS]
    if any("password" in name for name in unknown):
        raise _refusal("Remove the password column. Users set their own password.")
    if unknown:
        shown = ", ".join(name or "(empty)" for name in unknown)[:100]
        raise _refusal(f"Unknown column: {shown}. Use {', '.join(COLUMNS)}.")
    if len(set(names)) < len(names):
        raise _refusal("A column is named twice.")
    return names


def _read_rows(reader: Iterator[list[str]], columns: list[str]) -> Iterator[ImportRow]:
    count = 0
    for number, cells in enumerate(reader, start=2):
        values = [cell.strip() for cell in cells]
        if not any(values):
            continue
        count += 1
        if count > MAX_ROWS:
            raise _refusal(f"This file has more than {MAX_ROWS} users. Split it.")
        yield _row_of(number, values, columns)


def _row_of(number: int, values: list[str], columns: list[str]) -> ImportRow:
    cells = dict(zip(columns, values, strict=False))
    names = (name.strip() for name in cells.get("groups", "").split(GROUP_SEPARATOR))
    extra = any(values[len(columns) :])
    return ImportRow(
        number=number,
        email=cells.get("email", ""),
        name=cells.get("name", ""),
        role=cells.get("role", "").casefold(),
        groups=tuple(dict.fromkeys(filter(None, names))),
        problem="This row has more cells than the header." if extra else "",
    )


def _refusal(sentence: str) -> UserError:
    return UserError(sentence, field="file")
