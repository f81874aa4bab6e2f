"""Monthly 국민연금 files block by block: the same keys and numbers as the reader in memory, faults with their row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evalkit.errors import DataError, EvalkitError, FileError, SchemaError, UsageError, ValueProblem
from evalkit.ingest.sources import national_pension
from evalkit.scale import (
    Engine,
    Source,
    delimited,
    month_label,
    month_number,
    open_engine,
    open_pension,
    pension_panel,
    place_cells,
)

KEY = b"test"
HEADER = [
    "자료생성년월", " 사업장명", " 사업자등록번호", " 사업장가입상태코드 1 등록 2 탈퇴", " 우편번호", " 사업장지번상세주소",
    " 사업장도로명상세주소", " 고객법정동주소코드", " 고객행정동주소코드", " 법정동주소광역시도코드", " 법정동주소광역시시군구코드",
    " 법정동주소광역시시군구읍면동코드", " 사업장형태구분코드 1 법인 2 개인", " 사업장업종코드", " 사업장업종코드명", " 적용일자",
    " 재등록일자", " 탈퇴일자", " 가입자수", " 당월고지금액", " 신규취득자수", " 상실가입자수",
]  # fmt: skip
ENGLISH = [
    "DATA_CRT_YM", "WKPL_NM", "BZOWR_RGST_NO", "WKPL_JNNG_STCD", "ZIP", "WKPL_LTNO_DTL_ADDR", "WKPL_ROAD_NM_DTL_ADDR",
    "CUST_LDONG_ADDR_CD", "H", "LDONG_ADDR_MGPL_DG_CD", "LDONG_ADDR_MGPL_SGGU_CD", "E", "WKPL_STYL_DVCD", "WKPL_INTP_CD",
    "VLDT_VL_KRN_NM", "ADPT_DT", "RRGST_DT", "SCSN_DT", "JNNGP_CNT", "CRRMM_NTC_AMT", "NW_ACQZR_CNT", "LSS_JNNGP_CNT",
]  # fmt: skip


def row(
    month: str, name: str, members: object, *, head: object = 126811, code: str = "4161033025", joined: str = "1988-01-01",
    premium: object = 100, industry: object = 292201, parts: tuple[str, str] = ("41", "610"), street: str = "경기도 광주시 도척면",
) -> list[object]:  # fmt: skip
    """One line of the public file."""
    return [
        month, name, head, 1, 12816, street, street, code, code, *parts, "330", 1, industry, "제조업", joined, "0001-01-01",
        "0001-01-01", members, premium, 1, 0,
    ]  # fmt: skip


def month_file(
    folder: Path,
    month: str,
    rows: list[list[object]],
    header: list[str] | None = None,
    encoding: str = "cp949",
) -> Path:
    """A month as the office publishes it."""
    path = folder / f"국민연금_{month}.csv"
    path.write_bytes(pd.DataFrame(rows, columns=header or HEADER).to_csv(index=False).encode(encoding))
    return path


@pytest.fixture
def engine() -> Iterator[Engine]:
    with open_engine("duckdb", memory="500MB", threads=2) as opened:
        yield opened


def everything(source: Source) -> pd.DataFrame:
    """The rows in an order of their own."""
    return source.frame(source.table.order_by("workplace", "month"))


def two_months(folder: Path) -> list[Path]:
    """Spellings of one name, a lost zero, a firm that leaves, a code that went out of use."""
    first = [
        row("2021-03", "우성기전(주)", 5),
        row("2021-03", "㈜ 한빛 소재", 12, head=12345, code="1111010100", premium="1,200"),
        row("2021-03", "떠나는회사", 3, head="", joined="0001-01-01"),
        row("2021-03", "서울지점", 7, head=2148500001, code="4511112345"),
    ]
    second = [
        row("202104", "(주)우성기전", 6),
        row("202104", "한빛소재(주)", 11, head="012345", code="1111010100"),
    ]
    return [month_file(folder, "2021-03", first), month_file(folder, "2021-04", second, ENGLISH, "utf-8")]


def test_keys_and_numbers_are_those_of_the_reader_in_memory(engine: Engine, tmp_path: Path) -> None:
    paths = two_months(tmp_path)
    found = everything(open_pension(engine, paths, key=KEY))
    frames = [national_pension.read(path, key=KEY)[0].frame for path in paths]
    theirs = pd.concat(frames, ignore_index=True)
    theirs["month"] = [month_number(day.year, day.month) for day in theirs["month"]]
    theirs["joined"] = theirs["joined"].dt.strftime("%Y-%m-%d")
    columns = [
        "name_key",
        "month",
        "head_key",
        "entity_kind",
        "place_kind",
        "region",
        "joined",
        "members",
        "premium",
        "acquired",
        "lost",
    ]
    ours = found[columns].sort_values(["name_key", "month"], ignore_index=True)
    theirs = theirs[columns].sort_values(["name_key", "month"], ignore_index=True)
    pd.testing.assert_frame_equal(
        ours.astype(object).where(ours.notna(), None),
        theirs.astype(object).where(theirs.notna(), None),
        check_dtype=False,
    )
    assert found["workplace"].nunique() == 4
    assert found["sido"].dropna().eq(found["region"].dropna().str[:2]).all()


def test_no_name_and_no_number_reaches_the_folder(engine: Engine, tmp_path: Path) -> None:
    open_pension(engine, two_months(tmp_path), key=KEY)
    written = b"".join(path.read_bytes() for path in engine.folder.glob("*.parquet"))
    assert written
    for secret in ("우성기전", "한빛", "126811", "012345"):
        assert secret.encode() not in written


def test_panel_has_consecutive_months(engine: Engine, tmp_path: Path) -> None:
    panel = pension_panel(open_pension(engine, two_months(tmp_path), key=KEY), varying=["members", "premium"])
    assert panel.periods.tolist() == [month_number(2021, 3), month_number(2021, 4)]
    assert panel.notes["months"] == ["2021-03", "2021-04"]
    pairs = sorted(map(tuple, np.nan_to_num(panel.values("members"), nan=-1).tolist()))
    assert pairs == [(3, -1), (5, 6), (7, -1), (12, 11)]
    assert np.nansum(panel.values("premium")) == 100 * 5 + 1200
    assert "60세 이상은 가입자에서 빠짐" in panel.notes["cautions"]


def test_cells_of_places_add_up(engine: Engine, tmp_path: Path) -> None:
    cells = place_cells(
        open_pension(engine, two_months(tmp_path), key=KEY), period="month", region="sido", industry="industry",
        values=["members"], region_digits=2,
    )  # fmt: skip
    hand = {
        ("11", "29", "2021-03"): 12,
        ("11", "29", "2021-04"): 11,
        ("41", "29", "2021-03"): 8,
        ("41", "29", "2021-04"): 6,
        ("45", "29", "2021-03"): 7,
    }
    found = {(r.region, r.industry, month_label(int(r.period))): r.members_sum for r in cells.itertuples()}
    assert found == hand


def test_copies_leave_and_sites_of_one_workplace_add_up(engine: Engine, tmp_path: Path) -> None:
    same = row("2021-03", "우성기전(주)", 5)
    path = month_file(
        tmp_path,
        "2021-03",
        [
            same,
            same,
            row("2021-03", "우성기전(주)", 9),
            row("2021-03", "우성기전(주)", 1, joined="2001-01-01"),
        ],
    )
    source = open_pension(engine, path, key=KEY)
    assert sorted(everything(source)["members"].tolist()) == [1, 14]
    assert [(step.reason, step.rows) for step in source.flow] == [
        ("읽은 행", 4), ("쓰는 칸이 모두 같은 행의 되풀이", -1), ("같은 사업장으로 더한 행", -1), ("사업장·월", 2),
    ]  # fmt: skip
    kinds = {repair.kind: repair.count for repair in source.repairs}
    assert kinds == {"CP949 글자를 UTF-8 로 바꿈": 4, "이름·번호·지역·가입일이 같은 한 달의 사업장을 더함": 1}


def test_spellings_of_one_name_are_one_workplace_and_kinds_of_place_are_not(
    engine: Engine, tmp_path: Path
) -> None:
    rows = [
        row("2021-03", name, 2**k)
        for k, name in enumerate(["우성기전(주)", "㈜ 우성 기전", "우성기전(주) 제2공장"])
    ]
    found = everything(open_pension(engine, month_file(tmp_path, "2021-03", rows), key=KEY))
    assert dict(zip(found["place_kind"], found["members"], strict=True)) == {"head_office": 3, "plant": 4}
    assert found["name_key"].nunique() == 1


def test_regions_are_found_from_parts_and_addresses(engine: Engine, tmp_path: Path) -> None:
    rows = [
        row("2021-03", "가", 1, code=""),
        row("2021-03", "나", 1, code="4.16E+09", parts=("", ""), street="부산광역시 해운대구 우동"),
        row("2021-03", "다", 1, code="", parts=("", ""), street="어딘가"),
        row("2021-03", "라", 1, code="4273025000"),  # 연기군, since 2012 세종
        row("2021-03", "마", 1, code="4473025000"),
        row("2021-03", "바", 1, code="9999900000"),
    ]
    path = month_file(tmp_path, "2021-03", rows)
    source = open_pension(engine, path, key=KEY)
    kinds = {repair.kind: repair.count for repair in source.repairs}
    table = national_pension.read(path, key=KEY)[0]
    theirs = {repair.kind: repair.count for repair in table.repairs}
    for kind in (
        "법정동 코드가 없어 시·도와 시·군·구 코드를 이음",
        "이미 없어진 지역 코드를 그 뒤의 지역으로 읽음",
    ):
        assert kinds.get(kind) == theirs.get(kind), kind
    assert (
        kinds["법정동 코드가 없어 주소를 읽음"] == 1
    )  # the reader in memory counts the address that says nothing as well
    assert kinds["읽을 수 없는 지역을 빈 값으로 둠"] == theirs["읽을 수 없는 지역을 빈 값으로 둠"] == 2
    ours = everything(source).set_index("name_key")["region"]
    frame = table.frame.set_index("name_key")["region"]
    for name in frame.index:
        assert ours[name] == frame[name] or (pd.isna(ours[name]) and pd.isna(frame[name]))


def test_blocks_of_any_size_give_the_same_table(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row("2021-03", f"회사{i}", i % 50 + 1, head=100_000 + i) for i in range(3_000)]
    path = month_file(tmp_path, "2021-03", rows)
    whole = everything(open_pension(engine, path, key=KEY))
    monkeypatch.setattr(delimited, "_BLOCK", 20_000)
    with open_engine("duckdb", memory="500MB", threads=1) as alone:
        pieces = everything(open_pension(alone, path, key=KEY))
    pd.testing.assert_frame_equal(whole, pieces)


BAD: list[tuple[str, list[list[object]], type[EvalkitError], str]] = [
    (
        "members text",
        [row("2021-03", "가", 1), row("2021-03", "나", "열둘")],
        ValueProblem,
        r"3행 > 열 가입자수\] 읽을 수 없는 수 '열둘'",
    ),
    ("members negative", [row("2021-03", "가", -4)], ValueProblem, r"2행 > 열 가입자수\] 음수 -4"),
    ("members empty", [row("2021-03", "가", "")], ValueProblem, r"2행 > 열 가입자수\] 빈 값"),
    (
        "members half",
        [row("2021-03", "가", 1.5), row("2021-03", "나", "x")],
        ValueProblem,
        r"'1.5' \(같은 문제 1곳 더\)",
    ),
    ("no name", [row("2021-03", " ", 1)], ValueProblem, r"2행 > 열 사업장명\] 사업장명이 비어 있음"),
    ("month", [row("삼월", "가", 1)], ValueProblem, "읽을 수 없는 연월 '삼월'"),
    (
        "two months",
        [row("2021-03", "가", 1), row("2021-04", "나", 1)],
        SchemaError,
        "2021-03 와 2021-04 두 달이 있음",
    ),
    ("head", [row("2021-03", "가", 1, head="1234567")], ValueProblem, r"읽을 수 없는 값 123\*\*\*\*"),
]


@pytest.mark.parametrize(("rows", "kind", "sentence"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_faults_name_their_row(
    engine: Engine, tmp_path: Path, rows: list[list[object]], kind: type[EvalkitError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence) as caught:
        open_pension(engine, month_file(tmp_path, "2021-03", rows), key=KEY)
    assert "→" in str(caught.value)
    assert not list(engine.folder.glob("*.part"))


def test_files_that_do_not_fit_together(engine: Engine, tmp_path: Path) -> None:
    first = month_file(tmp_path, "2021-03", [row("2021-03", "가", 1)])
    again = month_file(tmp_path, "2021-03b", [row("2021-03", "가", 1)])
    with pytest.raises(SchemaError, match=r"같은 달\(2021-03\)의 파일이 둘임"):
        open_pension(engine, [first, again], key=KEY)
    with pytest.raises(SchemaError, match="행이 하나도 없음"):
        open_pension(engine, month_file(tmp_path, "2021-05", []), key=KEY)
    with pytest.raises(FileError, match="파일이 없음"):
        open_pension(engine, tmp_path / "none.csv", key=KEY)
    (tmp_path / "sub").mkdir()
    with pytest.raises(FileError, match="폴더에 CSV 파일이 없음"):
        open_pension(engine, tmp_path / "sub", key=KEY)
    with pytest.raises(FileError, match="하나도 주어지지 않음"):
        open_pension(engine, [], key=KEY)
    with pytest.raises(ValueProblem, match="암호화할 열쇠가 없음"):
        open_pension(engine, first, key=b"")
    with pytest.raises(UsageError, match="자릿수 9"):
        open_pension(engine, first, key=KEY, digits=9)
    missing = [h for h in HEADER if "가입자수" not in h or "상실" in h]
    path = month_file(
        tmp_path,
        "2021-06",
        [[c for h, c in zip(HEADER, row("2021-06", "가", 1), strict=True) if h in missing]],
        missing,
    )
    with pytest.raises(SchemaError, match="열 '가입자수' 이"):
        open_pension(engine, path, key=KEY)


def test_a_broken_line_is_named(engine: Engine, tmp_path: Path) -> None:
    path = month_file(tmp_path, "2021-03", [row("2021-03", "가", 1), row("2021-03", "나", 1)])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(SchemaError, match=r"3행\] 칸이 [0-9]+개인데 머리글은 22개임"):
        open_pension(engine, path, key=KEY)


def test_a_last_row_that_breaks_off_is_told_or_left_out(engine: Engine, tmp_path: Path) -> None:
    rows = [row("2021-03", f"회사{i}", 2, head=200_000 + i) for i in range(5)]
    path = month_file(tmp_path, "2021-03", [*rows, ["2021-03", "끊긴회사", *[""] * 20]])
    with pytest.raises(FileError, match=r"마지막 행이 도중에 끊김 \(채워진 칸 2개"):
        open_pension(engine, path, key=KEY)
    source = open_pension(engine, path, key=KEY, cut_last_row="drop")
    assert [(step.reason, step.rows) for step in source.flow] == [
        ("읽은 행", 6),
        ("도중에 끊긴 마지막 행", -1),
        ("사업장·월", 5),
    ]


def test_bytes_of_no_encoding(engine: Engine, tmp_path: Path) -> None:
    path = month_file(tmp_path, "2021-03", [row("2021-03", "가", 1)])
    path.write_bytes(
        path.read_bytes().replace("우".encode("cp949"), b"").replace("가,".encode("cp949"), b"\xff\xff,")
    )
    with pytest.raises(FileError, match="어느 것으로도 읽을 수 없음"):
        open_pension(engine, path, key=KEY)


def test_workplaces_may_be_supported(engine: Engine, tmp_path: Path) -> None:
    """A list that names nobody is told, and the months go on into cells."""
    from evalkit.scale import with_programme

    source = open_pension(engine, two_months(tmp_path), key=KEY)
    with pytest.raises(DataError, match="하나도 없음"):
        with_programme(source, pd.DataFrame({"workplace": ["x"], "adoption": [24_254]}), unit="workplace")
    known = everything(source)["workplace"].iloc[0]
    joined = with_programme(
        source, pd.DataFrame({"workplace": [known], "adoption": [24_255]}), unit="workplace"
    )
    found = joined.frame(joined.table.filter(joined.table["adoption"].notnull()))
    assert set(found["workplace"]) == {known}


def test_a_workplace_that_has_left_counts_nobody(engine: Engine, tmp_path: Path) -> None:
    """탈퇴 stands in the month's file with its last members; the source is without it, and says so."""
    gone = row("2021-03", "떠난회사", 7)
    gone[3] = 2
    path = month_file(tmp_path, "202103", [row("2021-03", "남은회사", 5), gone])
    source = open_pension(engine, [path], key=KEY)
    frame = everything(source)
    assert frame["members"].tolist() == [5]
    assert [(r.kind, r.count) for r in source.repairs if "탈퇴" in r.kind] == [("탈퇴한 사업장의 행을 뺌", 1)]
    flow = [(step.reason, step.rows) for step in source.flow]
    assert flow == [("읽은 행", 2), ("탈퇴한 사업장의 행", -1), ("사업장·월", 1)]
