"""Damaged workbooks and files by the thousand: what is done to them, and what the readers may then say.

Run as a program it reads cases in a process of its own, with limits on memory and time, and prints one line a case that
went wrong, so that an abort or a hang of a compiled reader is found like any other fault:

    python tests/helpers/damaged_files.py FOLDER KIND FIRST LAST
"""

from __future__ import annotations

import csv
import io
import math
import re
import resource
import signal
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import EvalkitError
from evalkit.ingest import Table, read_source

KEY = b"a key of the tests"
SECONDS, MEMORY = 20, 6 << 30
SOURCES = {
    "performance_survey": "성과조사/*1단계*.xlsx",
    "employment_insurance": "고용보험/*2019*.csv",
    "national_pension": "국민연금/*2019*.csv",
    "firm_financials": "재무/*.csv",
    "zones": "지정고시/*지구.csv",
    "deflator": "물가/*.csv",
}
LINES = 40  # of each delimited file, so that thousands of cases stay quick

# text put into a cell -> the numbers that a reader may take it for (NaN: nothing)
NAN = math.nan
PAYLOADS: dict[str, tuple[float, ...]] = {
    "1e308": (1e308,), "9" * 40: (float("9" * 40),), "1e400": (), "-1e400": (), "inf": (), "nan": (NAN,), "NaN": (NAN,),
    "-17": (-17.0,), "△17": (-17.0,), "(1,234)": (-1234.0,), "1,234": (1234.0,), "1,23": (), "12.5": (12.5, 2012.0), "１２": (12.0,),
    "=1+1": (), "=cmd|' /C calc'!A0": (), "@SUM(A1)": (), "+12": (12.0,), "#REF!": (), "#N/A": (), "TRUE": (),
    "2023-11-02": (2023.0,), "0x1F": (), "1_000": (), "１，２３４": (1234.0,), "12 34": (1234.0,), "": (NAN, 0.0), "-": (NAN, 0.0),
    "해당없음": (NAN, 0.0), "없음": (NAN, 0.0), "12명": (12.0,), "3억": (3e8,), "<script>alert(1)</script>": (), "&lt;b&gt;": (),
    "‮12": (), "12\u200b": (), "\ufeff12": (), "٣": (3.0,), "Ⅻ": (), "½": (), "1/2": (), "1:30": (), "1.2.3": (), "--5": (),
    "e5": (), ".": (NAN,), "\t12": (12.0,), "12\u00a0": (12.0,), "x" * 50_000: (), "가나다": (), "🙂": (), "\x01": (), "0": (0.0,),
    "1e5": (1e5,), "1.10111E+12": (1.10111e12,),
}  # fmt: skip


def base_files(folder: Path) -> dict[str, Path]:
    """The file of each source, delimited ones cut to their first lines (whole lines)."""
    found = {}
    for name, pattern in SOURCES.items():
        path = sorted(folder.glob(pattern))[0]
        if path.suffix == ".csv":
            content = path.read_bytes()
            lines = content.split(b"\r\n")
            small = folder / "small" / name / path.name
            small.parent.mkdir(parents=True, exist_ok=True)
            small.write_bytes(b"\r\n".join(lines[:LINES]) + b"\r\n")
            path = small
        found[name] = path
    return found


def read(name: str, path: Path) -> list[Table]:
    """A file as the kit reads it."""
    return read_source(name, path, key=KEY)


# -- delimited text --------------------------------------------------------------------------------------


def decoded(content: bytes) -> str:
    """Text of one of the base files."""
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise AssertionError("a base file that cannot be decoded")


def rows_of(content: bytes) -> tuple[list[list[str]], str]:
    text = decoded(content)
    separator = "\t" if text.split("\r\n")[0].count("\t") > 2 else ","
    return [row for row in csv.reader(io.StringIO(text), delimiter=separator) if row], separator


def written(rows: list[list[str]], separator: str = ",", encoding: str = "utf-8", end: str = "\r\n") -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator, lineterminator=end).writerows(rows)
    return buffer.getvalue().encode(encoding)


def damage_text(kind: str, content: bytes, rng: np.random.Generator) -> tuple[bytes, dict[str, Any]]:
    """A damaged copy, and what is known of the damage."""
    if kind == "cut":
        return content[: int(rng.integers(1, len(content)))], {}
    if kind == "bytes":
        out = bytearray(content)
        for _ in range(int(rng.integers(1, 12))):
            at = int(rng.integers(len(out)))
            way = rng.random()
            if way < 0.5:
                out[at] = int(rng.integers(256))
            elif way < 0.75:
                del out[at : at + int(rng.integers(1, 9))]
            else:
                out[at:at] = bytes(rng.integers(0, 256, size=int(rng.integers(1, 9)), dtype=np.uint8))
        return bytes(out), {}
    rows, separator = rows_of(content)
    if kind == "recode":
        encoding = str(rng.choice(["utf-8", "utf-8-sig", "cp949", "utf-16"]))
        mark = str(rng.choice([",", "\t", ";"])) if separator == "," else separator
        return written(rows, mark, encoding, str(rng.choice(["\n", "\r\n"]))), {"same": True}
    if kind == "shuffle":
        order = rng.permutation(len(rows[0]))
        return written([[row[i] for i in order] for row in rows], separator), {"same": True}
    row, column = int(rng.integers(1, len(rows))), int(rng.integers(len(rows[0])))
    payload = str(rng.choice(list(PAYLOADS)))
    before = rows[row][column]
    rows[row][column] = payload
    return written(rows, separator), {"row": row + 1, "payload": payload, "before": before}


TEXT_KINDS = ("cut", "bytes", "recode", "shuffle", "cell")


# -- workbooks -------------------------------------------------------------------------------------------


def parts_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


def _replaced(page: bytes, pattern: bytes, rng: np.random.Generator, new: Callable[[Any], bytes]) -> bytes:
    found = list(re.finditer(pattern, page, re.DOTALL))
    if not found:
        return page
    match = found[int(rng.integers(len(found)))]
    return page[: match.start()] + new(match) + page[match.end() :]


def damage_workbook(kind: str, content: bytes, rng: np.random.Generator) -> tuple[bytes, dict[str, Any]]:
    """A damaged copy of a workbook."""
    if kind == "cut":
        return content[: int(rng.integers(1, len(content)))], {"error": True}
    if kind == "bytes":
        out = bytearray(content)
        for _ in range(int(rng.integers(1, 6))):
            out[int(rng.integers(len(out)))] = int(rng.integers(256))
        return bytes(out), {}
    parts = parts_of(content)
    sheets = sorted(name for name in parts if "worksheets/" in name)
    name = str(rng.choice(sheets))
    page = parts[name]
    if kind == "value":
        values = [
            b"1e308",
            b"-5",
            b"abc",
            b"",
            b"1e400",
            b"99999999999",
            b"0.1",
            b"1,234",
            b"\xc2\xbd",
            b"1e-320",
        ]
        page = _replaced(
            page, rb"<v>[^<]*</v>", rng, lambda m: b"<v>" + values[int(rng.integers(len(values)))] + b"</v>"
        )
    elif kind == "type":
        kinds = [b"s", b"n", b"b", b"e", b"str", b"d", b"inlineStr", b"zzz"]
        page = _replaced(
            page, rb'\bt="[a-zA-Z]+"', rng, lambda m: b't="' + kinds[int(rng.integers(len(kinds)))] + b'"'
        )
    elif kind == "formula":
        page = _replaced(page, rb"<v>", rng, lambda m: b"<f>1+1</f><v>")
    elif kind == "place":
        places = [b"A1", b"ZZ9", b"XFD1", b"XFD1048576", b"AAAAAA1", b"A0", b"1A", b"", b"A99999999999"]
        page = _replaced(
            page, rb'\br="[A-Z]+\d+"', rng, lambda m: b'r="' + places[int(rng.integers(len(places)))] + b'"'
        )
    elif kind == "merge":
        spans = [b"A1:XFD1048576", b"B2:A1", b"A1:A1", b"A5:D40", b"A0:B2", b"Z1:Z9999999", b"A1", b"::"]
        page = _replaced(
            page,
            rb'<mergeCell ref="[^"]*"',
            rng,
            lambda m: b'<mergeCell ref="' + spans[int(rng.integers(len(spans)))] + b'"',
        )
    elif kind == "tags":
        page = _replaced(page, rb"</?(?:row|c|v|sheetData)\b[^>]*>", rng, lambda m: b"")
    elif kind == "entity":
        entity = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        page = page.replace(b"?>", b"?>" + entity, 1) if b"?>" in page else entity + page
        return archive_of({**parts, name: page}), {"error": True}
    elif kind == "part":
        gone = str(rng.choice([n for n in parts if not n.startswith("docProps")]))
        parts.pop(gone)
        return archive_of(parts), {}
    elif kind == "strings" and "xl/sharedStrings.xml" in parts:
        text = parts["xl/sharedStrings.xml"]
        parts["xl/sharedStrings.xml"] = text[: int(rng.integers(len(text)))]
        return archive_of(parts), {}
    return archive_of({**parts, name: page}), {}


BOOK_KINDS = (
    "cut",
    "bytes",
    "value",
    "type",
    "formula",
    "place",
    "merge",
    "tags",
    "entity",
    "part",
    "strings",
)


# -- hostile files ----------------------------------------------------------------------------------------


def hostile(workbook: bytes) -> dict[str, bytes]:
    """Files made to hurt, by name."""
    parts = parts_of(workbook)
    sheet = next(name for name in sorted(parts) if "worksheets/" in name)
    head = b'<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    tail = b"</sheetData></worksheet>"

    def with_sheet(page: bytes) -> bytes:
        return archive_of({**parts, sheet: page})

    row = b"".join(b'<c r="%s1"><v>1</v></c>' % _letters(i) for i in range(1, 20_001))
    laughs = (
        b'<!DOCTYPE l [<!ENTITY a "ha">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
        + b"]>"
    )
    million = b",".join(b"c%d" % i for i in range(1_000_000))
    ods = (
        b'<?xml version="1.0"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
        b' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">'
        b'<office:body><office:spreadsheet><table:table table:name="a"><table:table-row table:number-rows-repeated="1000000">'
        b'<table:table-cell office:value-type="float" office:value="1" table:number-columns-repeated="16000"><text:p>1</text:p>'
        b"</table:table-cell></table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"
    )
    return {
        "bomb.xlsx": _bomb(parts, sheet),
        "laughs.xlsx": with_sheet(head.replace(b"?>", b"?>" + laughs, 1) + b'<row r="1"><c r="A1" t="str"><v>&j;</v></c></row>' + tail),
        "outside.xlsx": with_sheet(
            b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>' + head[21:] + b'<row r="1"><c r="A1" t="str"><v>&e;</v></c></row>' + tail
        ),
        "wide.xlsx": with_sheet(head + b'<row r="1">' + row + b"</row>" + tail),
        "corner.xlsx": with_sheet(head + b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>' + tail),
        "repeated.ods": archive_of({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": ods}),
        "wide.csv": million + b"\n" + million + b"\n",
        "one_line.csv": b"a" * 30_000_000,
        "zeros.csv": bytes(1_000_000),
        "quotes.csv": b'a,b\n"' + b"x" * 5_000_000,
        "nested.xlsx": archive_of({"inner.zip": archive_of({"a": bytes(1_000_000)})}),
        "empty.xlsx": archive_of({}),
        "picture.xlsx": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20,
        "page.xls": b"<html><table><tr><td>1</td></tr></table></html>",
        "ole.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5_000),
        "ole_noise.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + np.random.default_rng(1).bytes(20_000),
    }  # fmt: skip


def _bomb(parts: dict[str, bytes], sheet: str) -> bytes:
    """A sheet of a few megabytes that unpacks to 3 GB."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    block = bytes(1 << 20)
    packed = b"".join([*(packer.compress(block) for _ in range(3_000)), packer.flush()])
    out = io.BytesIO(archive_of({name: data for name, data in parts.items() if name != sheet}))
    with zipfile.ZipFile(out, "a", zipfile.ZIP_STORED) as archive:
        entry = zipfile.ZipInfo(sheet)
        archive.writestr(entry, packed)
    raw = bytearray(out.getvalue())
    # say «deflated, small» in both headers: the true size is known only to whoever unpacks it
    for mark, method, size in ((b"PK\x03\x04", 8, 22), (b"PK\x01\x02", 10, 24)):
        at = raw.find(mark)
        while at >= 0:
            length = 30 if mark == b"PK\x03\x04" else 46
            if raw[at + length : at + length + len(sheet)] == sheet.encode():
                raw[at + method : at + method + 2] = (8).to_bytes(2, "little")
                raw[at + size : at + size + 4] = (1000).to_bytes(4, "little")
            at = raw.find(mark, at + 4)
    return bytes(raw)


def _letters(number: int) -> bytes:
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(65 + rest) + text
    return text.encode()


# -- what may come of it ----------------------------------------------------------------------------------


def fault(name: str, kind: str, known: dict[str, Any], base: list[Table], path: Path) -> str:
    """What is wrong with how a damaged file was met; "" when nothing is."""
    try:
        tables = read(name, path)
    except EvalkitError as error:
        sentence = error.sentence()
        if known.get("same"):
            return f"a file that says the same was refused: {sentence}"
        return (
            ""
            if re.search("[가-힣]", sentence) and len(sentence) < 2_000
            else f"no sentence: {sentence[:200]}"
        )
    if known.get("error"):
        return "a damaged workbook was read as if it were whole"
    if known.get("same"):
        return _differs(tables, base)
    if kind == "cut":
        return _not_prefix(tables, base)
    if kind == "cell":
        return _silent(tables, base, known)
    for table in tables:
        for column in table.frame.select_dtypes("number"):
            if not np.isfinite(table.frame[column].dropna()).all():
                return f"a number that is none in {column}"
    return ""


def _differs(tables: list[Table], base: list[Table]) -> str:
    for one, other in zip(tables, base, strict=True):
        try:
            pd.testing.assert_frame_equal(one.frame, other.frame)
        except AssertionError as error:
            return f"another frame: {str(error)[:200]}"
    return ""


def _not_prefix(tables: list[Table], base: list[Table]) -> str:
    """A file that was cut may give its first rows; a last row that may be torn must be spoken of."""
    for one, other in zip(tables, base, strict=True):
        frame, whole = one.frame, other.frame.head(len(one.frame))
        if len(frame) > len(other.frame):
            return "more rows than were written"
        if frame.iloc[:-1].equals(whole.iloc[:-1]) and frame.iloc[-1:].equals(whole.iloc[-1:]):
            continue
        if not frame.iloc[:-1].equals(whole.iloc[:-1]):
            return "a row before the last one changed"
        said = [r.kind for r in one.repairs if "끝남" in r.kind] + [
            s.reason for s in one.flow if "끊긴" in s.reason
        ]
        if not said:
            return "a torn last row was read in silence"
    return ""


def _silent(tables: list[Table], base: list[Table], known: dict[str, Any]) -> str:
    """One cell was replaced: other rows are as they were, and its number is one that the text can mean."""
    allowed = PAYLOADS[known["payload"]]
    for one, other in zip(tables, base, strict=True):
        keep, was = (
            f[f["source_row"] != known["row"]].reset_index(drop=True) for f in (one.frame, other.frame)
        )
        before = {(r.kind, r.column) for r in other.repairs} | {(s.reason, s.rows) for s in other.flow}
        new = [r for r in one.repairs if (r.kind, r.column) not in before]
        new_steps = [s for s in one.flow if (s.reason, s.rows) not in before]
        if len(one.frame) == len(other.frame) and not keep.equals(was):
            return "a row that was not touched changed"
        if len(one.frame) < len(other.frame) and not new_steps:
            return "a row went in silence"
        mine, old = (f[f["source_row"] == known["row"]] for f in (one.frame, other.frame))
        for column in mine.select_dtypes("number") if len(mine) == len(old) == 1 else ():
            value, earlier = float(mine[column].iloc[0]), float(old[column].iloc[0])
            same = value == earlier or (math.isnan(value) and math.isnan(earlier))
            if same or any(_close(value, number) for number in allowed):
                continue
            if math.isnan(value) and new:
                continue
            return f"{known['payload'][:40]!r} became {value} in {column}"
    return ""


def _close(value: float, number: float) -> bool:
    """The number itself, or the number in another unit of money."""
    if math.isnan(number):
        return math.isnan(value)
    return any(
        math.isclose(value, number * f, rel_tol=1e-12, abs_tol=0.0)
        for f in (1, 1e-6, 1e-3, 1e3, 1e6, 1e-2, 1e2)
    )


# -- the program --------------------------------------------------------------------------------------------


def _too_long(*_: object) -> None:
    raise TimeoutError(f"longer than {SECONDS} s")


def one(
    name: str, kind: str, seed: int, files: dict[str, Path], bases: dict[str, list[Table]], scratch: Path
) -> str:
    """One case: "" or what went wrong."""
    source = files[name]
    rng = np.random.default_rng([seed, sorted(SOURCES).index(name), (*TEXT_KINDS, *BOOK_KINDS).index(kind)])
    damage = damage_text if source.suffix == ".csv" else damage_workbook
    content, known = damage(kind, source.read_bytes(), rng)
    path = scratch / source.name
    path.write_bytes(content)
    return timed(lambda: fault(name, kind, known, bases[name], path))


def timed(act: Callable[[], str]) -> str:
    """What an act says, or what it raised, within the time of a case: the processor's, whatever else the machine does."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        return act()
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def main() -> None:
    """Read the cases asked for."""
    folder, what, first, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    signal.signal(signal.SIGPROF, _too_long)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    files = base_files(folder)
    scratch = folder / f"scratch-{what}-{first}"
    scratch.mkdir(exist_ok=True)
    count = 0
    if what == "hostile":
        for label, content in hostile(files["performance_survey"].read_bytes()).items():
            path = scratch / label
            path.write_bytes(content)
            print("at", label, flush=True)
            said = timed(lambda path=path: _hostile(path))  # type: ignore[misc]
            count += 1
            if said:
                print("FAULT", label, said, flush=True)
    else:
        bases = {name: read(name, path) for name, path in files.items()}
        wanted = [n for n, p in files.items() if (p.suffix == ".csv") == (what == "text")]
        for seed in range(first, last):
            for name in wanted:
                for kind in TEXT_KINDS if what == "text" else BOOK_KINDS:
                    print("at", name, kind, seed, flush=True)
                    said = one(name, kind, seed, files, bases, scratch)
                    count += 1
                    if said:
                        print("FAULT", name, kind, seed, said, flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"DONE {count} {peak:.0f}", flush=True)


def _hostile(path: Path) -> str:
    """Every reader meets a hostile file with a sentence."""
    for name in ("performance_survey", "deflator"):
        try:
            read(name, path)
        except EvalkitError as error:
            if len(error.sentence()) > 2_000:
                return "a sentence without end"
        else:
            return f"read by {name}"
    return ""


if __name__ == "__main__":
    main()
