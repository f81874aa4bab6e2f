"""While reading: persons stop it, keys leave a fingerprint, destroyed numbers say so; afterwards no number stands anywhere."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from evalkit import simulate
from evalkit.errors import DisclosureError, ValueProblem
from evalkit.ingest import ColumnSpec, TableSpec, read_table
from evalkit.ingest.identifiers import is_business_number, key_fingerprint
from evalkit.ingest.leaks import search, search_folder
from evalkit.study import Study

PROJECT = Path(__file__).resolve().parents[2]
SPEC = TableSpec(
    "firms",
    "기업",
    "기업 하나",
    (
        ColumnSpec("firm_id", ("사업자등록번호",), "business_number", "기업", nullable=False),
        ColumnSpec("memo", ("비고",), "text", "비고", required=False),
    ),
)


def saved(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "기업.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_resident_number_anywhere_stops_the_reading(tmp_path):
    path = saved(tmp_path, "사업자등록번호,대표자\n124-81-00998,가\n116-82-00276,900101-1234568\n")
    with pytest.raises(
        DisclosureError, match=r"\[기업.csv > 3행 > 열 대표자\] 주민등록번호로 보이는"
    ) as caught:
        read_table(path, SPEC, key=b"k")
    assert not re.search(r"\d{6}", str(caught.value))


def test_telephones_and_the_key_are_noted(tmp_path):
    path = saved(tmp_path, "사업자등록번호,비고,연락처\n124-81-00998,,010-1234-5678\n116-82-00276,a@b.kr,\n")
    table = read_table(path, SPEC, key=b"k")
    assert table.notes["personal"] == ("비고: 전자우편 주소 1곳", "연락처: 휴대전화 번호 1곳")
    assert table.notes["key_fingerprint"] == key_fingerprint(b"k") != key_fingerprint(b"other")
    clean = read_table(saved(tmp_path, "사업자등록번호\n124-81-00998\n"), SPEC, key=b"k")
    assert "personal" not in clean.notes
    assert (
        search(
            [table.frame, dict(table.notes), [vars_of(r) for r in table.repairs]],
            ["1248100998", "1168200276"],
        )
        == ()
    )


def vars_of(repair) -> dict[str, object]:
    return {name: getattr(repair, name) for name in repair.__slots__}


def test_a_number_in_scientific_notation_says_so_by_its_row(tmp_path):
    path = saved(tmp_path, "사업자등록번호\n124-81-00998\n1.1682E+09\n1.2481E+09\n")
    with pytest.raises(ValueProblem, match=r"3행.*지수로 바뀌어 번호를 되살릴 수 없음 \(같은 문제 1곳 더\)"):
        read_table(path, SPEC, key=b"k")
    table = read_table(path, SPEC, key=b"k", invalid_identifier="unlinked")
    (repair,) = [r for r in table.repairs if "지수로" in r.kind]
    assert (repair.row, repair.count) == (3, 2)
    assert table.frame["firm_id"].str.startswith("u-").tolist() == [False, True, True]
    whole = read_table(saved(tmp_path, "사업자등록번호\n1.248100998E+09\n"), SPEC, key=b"k")
    assert whole.frame["firm_id"].tolist() == [table.frame["firm_id"].iloc[0]]


def number_beside_names(path: Path) -> int:
    """Write a number into the first cells below every header of names; how many."""
    book = openpyxl.load_workbook(path)
    cells = [
        below
        for sheet in book
        for row in sheet.iter_rows(max_row=10)
        for head in row
        if str(head.value).strip() in ("과제명", "기업명", "사업명")
        for below in (sheet.cell(head.row + 2, head.column), sheet.cell(head.row + 3, head.column))
        if isinstance(below, openpyxl.cell.cell.Cell) and isinstance(below.value, str)
    ]
    for cell in cells:
        cell.value = f"{cell.value} (124-81-00998)"
    book.save(path)
    return len(cells)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A study made of an evaluator's files, and every number that stood in them."""
    root = tmp_path_factory.mktemp("leaks")
    for name in ("plans", "notebooks"):
        (root / name).mkdir()
    plan = Path(shutil.copy(PROJECT / "plans" / "nic_phase1_vs_phase3.yml", root / "plans"))
    world = simulate.world(seed=5, firms=600)
    simulate.write(world, root / "raw", root / "truth")
    assert sum(map(number_beside_names, (root / "raw").rglob("*.xlsx"))) > 5
    study = Study.open(plan, data=root / "raw")
    study.panel("units")
    found: set[str] = {"1248100998"}
    for path in (root / "raw").rglob("*"):
        if path.suffix == ".csv":
            text = path.read_bytes().decode(
                "utf-8-sig" if b"\xef\xbb\xbf" in path.read_bytes()[:3] else "cp949", "replace"
            )
            # bare digits with a wrong check digit are codes of 법정동
            matches = re.findall(r"(?<!\d)\d{3}-?\d{2}-?\d{5}(?!\d)", text)
            found |= {re.sub("-", "", m) for m in matches if "-" in m or is_business_number(m)}
    return root, sorted(found)


def test_the_search_would_find_them_in_the_raw_files(prepared):
    root, numbers = prepared
    assert len(numbers) > 300
    assert search_folder(root / "raw", numbers)


def test_nothing_that_was_prepared_holds_a_number(prepared):
    root, numbers = prepared
    made = [p for p in root.iterdir() if p.name not in ("raw", "truth", "plans", "notebooks")]
    assert any(p.is_dir() for p in made)
    files = [p for folder in made for p in folder.rglob("*") if p.is_file()]
    assert files
    for folder in made:
        leaks = search_folder(folder, numbers)
        assert leaks == (), leaks[:3]
    # the search is not blind there: one number planted beside the panels is found
    planted = files[0].parent / "planted.json"
    planted.write_text(pd.Series({"id": numbers[0]}).to_json(), encoding="utf-8")
    assert [leak.place for leak in search_folder(planted.parent, numbers)] == ["planted.json"]
    planted.unlink()
