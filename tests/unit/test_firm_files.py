"""Public files of firms in all their spellings: 국민연금, 고용·산재보험 and 공장등록 by hand, and every sentence said about them."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from evalkit.errors import FileError, PlanError, SchemaError, ValueProblem
from evalkit.ingest import read_source
from evalkit.ingest.identifiers import business_check_digit, hash_identifier
from evalkit.ingest.linking.keys import LINK_COLUMNS
from evalkit.ingest.packed import is_packed, members
from evalkit.ingest.sources import employment_insurance, factory_registration, national_pension
from evalkit.ingest.store import TableStore
from evalkit.ingest.table import Table
from evalkit.simulate.establishments.pension import DOTTED_COLUMNS, ENGLISH_COLUMNS
from evalkit.simulate.registers import PENSION_COLUMNS

KEY = b"test key"


def number(serial: int, kind: str = "81") -> str:
    nine = f"124{kind}{serial:04d}"
    return f"{nine}{business_check_digit(nine)}"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


# -- 국민연금 -----------------------------------------------------------------------------------------

ROWS = (
    "2021-03,우성기전(주),126811,1,12816,경기도 광주시 도척면,경기도 광주시 도척면 도척윗로,4161033025,4161033025,41,610,330,1,292201,공구 제조업,1988-01-01,0001-01-01,0001-01-01,5,792720,0,0",
    "2021-03,한빛소재 대전공장,314851,1,34000,대전광역시 유성구 관평동,대전광역시 유성구 테크노로,3020014600,3020014600,30,200,146,1,262100,부품 제조업,2015-07-01,2019-02-01,0001-01-01,31,5000000,2,1",
    "2021-03,새벽상사,126112,2,12816,경기도 부천시 원미동,경기도 부천시 부천로,4119510400,4119010400,41,195,104,2,292201,도매업,2001-05-06,0001-01-01,2021-02-28,0,0,0,3",
)


def pension(header: tuple[str, ...], rows: tuple[str, ...] = ROWS, separator: str = ",") -> str:
    return "".join(separator.join(line) + "\n" for line in (header, *(row.split(",") for row in rows)))


def one(path: Path, **options: Any) -> Table:
    (table,) = national_pension.read(path, key=KEY, **options)
    return table


def days(column: pd.Series) -> list[str | None]:
    return [None if pd.isna(day) else day.strftime("%Y-%m-%d") for day in column]


def test_pension_frame(tmp_path: Path) -> None:
    frame = one(write(tmp_path / "a.csv", pension(PENSION_COLUMNS))).frame
    assert tuple(frame.columns[: len(LINK_COLUMNS)]) == LINK_COLUMNS
    assert frame["head_key"].tolist() == [
        hash_identifier(f"head|{h}", KEY) for h in ("126811", "314851", "126112")
    ]
    assert frame["firm_id"].isna().all()
    assert frame["entity_kind"].tolist() == ["corporation_head_office", "corporation_branch", "individual"]
    assert frame["place_kind"].tolist() == ["head_office", "plant", "unknown"]
    assert frame["name_key"].iloc[1] == hash_identifier("name|한빛소재", KEY)
    assert frame["region"].tolist() == [
        "41610",
        "30200",
        "41190",
    ]  # a 구 of 부천 abolished in 2016 is followed
    assert frame["status"].tolist() == ["joined", "joined", "left"]
    assert days(frame["joined"]) == ["1988-01-01", "2015-07-01", "2001-05-06"]
    assert days(frame["reregistered"]) == [None, "2019-02-01", None]
    assert days(frame["left"]) == [None, None, "2021-02-28"]
    assert frame[["members", "premium", "acquired", "lost"]].to_numpy().tolist() == [[5, 792720, 0, 0], [31, 5e6, 2, 1], [0, 0, 0, 3]]  # fmt: skip
    assert frame["entity"].tolist() == ["corporation", "corporation", "individual"]


@pytest.mark.parametrize("header", [PENSION_COLUMNS, DOTTED_COLUMNS, ENGLISH_COLUMNS])
@pytest.mark.parametrize(
    ("encoding", "separator"), [("cp949", ","), ("utf-8", ","), ("utf-8-sig", "\t"), ("utf-16", ",")]
)
def test_every_header_and_encoding_gives_one_frame(
    tmp_path: Path, header: tuple[str, ...], encoding: str, separator: str
) -> None:
    plain = one(write(tmp_path / "a.csv", pension(PENSION_COLUMNS)))
    other = one(write(tmp_path / "b.csv", pension(header, separator=separator), encoding))
    assert_frame_equal(other.frame, plain.frame)
    # another header, the same repairs
    assert [(r.kind, r.count, r.row) for r in other.repairs] == [
        (r.kind, r.count, r.row) for r in plain.repairs
    ]


def test_fields_of_the_open_api(tmp_path: Path) -> None:
    text = (
        "seq,dataCrtYm,wkplNm,bzowrRgstNo,wkplJnngStcd,wkplStylDvcd,wkplRoadNmDtlAddr,ldongAddrMgplDgCd,ldongAddrMgplSgguCd,"
        "ldongAddrMgplSgguEmdCd,adptDt,scsnDt,jnngpCnt,crrmmNtcAmt,nwAcqzrCnt,lssJnngpCnt,wkplIntpCd,vldtVlKrnNm\n"
        "1,202103,우성기전(주),126811****,1,1,경기도 광주시 도척면 도척윗로,41,610,330,19880101,00010101,5,792720,0,0,292201,공구 제조업\n"
        "2,202103,한빛소재 대전공장,314851****,1,1,대전광역시 유성구 테크노로,30,30200,30200146,20150701,,31,5000000,2,1,262100,부품 제조업\n"
    )
    table = one(write(tmp_path / "api.csv", text))
    plain = one(write(tmp_path / "a.csv", pension(PENSION_COLUMNS, ROWS[:2]))).frame
    same = [c for c in plain.columns if c not in ("reregistered",)]
    assert_frame_equal(table.frame[same], plain[same])
    (repair,) = [r for r in table.repairs if "이음" in r.kind]
    assert (repair.kind, repair.count, repair.row) == (
        "법정동 코드가 없어 시·도와 시·군·구 코드를 이음",
        2,
        2,
    )


def test_region_from_what_the_row_has(tmp_path: Path) -> None:
    damaged = ROWS[0].replace("4161033025,4161033025", "4.16103E+09,4161033025")
    no_parts = ROWS[1].replace("3020014600,3020014600,30,200,146", ",,,,")
    nothing = ROWS[2].replace("4119510400,4119010400,41,195,104", ",,,,").replace("경기도 부천시", "")
    floats = ROWS[0].replace("4161033025,", "4161033025.0,", 1).replace("우성", "나성")
    table = one(write(tmp_path / "a.csv", pension(PENSION_COLUMNS, (damaged, no_parts, nothing, floats))), invalid_region="missing")  # fmt: skip
    assert table.frame["region"].tolist()[:2] == ["41610", "30200"]
    assert pd.isna(table.frame["region"].iloc[2])
    assert table.frame["region"].iloc[3] == "41610"
    told = {r.kind: (r.count, r.row, r.before, r.after) for r in table.repairs}
    assert told["법정동 코드가 없어 시·도와 시·군·구 코드를 이음"] == (1, 2, "4.16103E+09", "41610")
    assert told["법정동 코드가 없어 주소를 읽음"][:2] == (2, 3)
    with pytest.raises(ValueProblem, match="시·도를 찾을 수 없음"):
        one(tmp_path / "a.csv", invalid_region="error")


def test_rows_that_repeat_in_every_cell(tmp_path: Path) -> None:
    twins = ROWS[0].replace(
        ",5,792720", ",6,950000"
    )  # the same keys, other numbers: two workplaces or one, nobody knows
    path = write(tmp_path / "a.csv", pension(PENSION_COLUMNS, (ROWS[0], ROWS[1], ROWS[0], twins)))
    table = one(path)
    assert table.frame["members"].tolist() == [5, 31, 6]
    assert table.notes["same_keys"] == 2
    assert [(s.reason, s.rows, s.example) for s in table.flow[-2:]] == [("모든 칸이 같은 행의 되풀이", -1, "4행"), ("사업장 행", 3, "")]  # fmt: skip
    assert len(one(path, repeats="keep").frame) == 4
    with pytest.raises(ValueProblem, match=r"4행\] 모든 칸이 같은 행이 되풀이됨 \(모두 1행\)"):
        one(path, repeats="error")
    # a row that differs only in a column that is not read is another row
    elsewhere = ROWS[0].replace("12816", "12817")
    assert len(one(write(tmp_path / "b.csv", pension(PENSION_COLUMNS, (ROWS[0], elsewhere)))).frame) == 2


def test_months_one_after_another(tmp_path: Path) -> None:
    for month in ("04", "03", "05"):
        rows = tuple(row.replace("2021-03", f"2021-{month}") for row in ROWS)
        write(tmp_path / f"2021{month}.csv", pension(PENSION_COLUMNS, rows), "cp949")
    files = list(tmp_path.glob("*.csv"))
    reading = national_pension.read_months(files, key=KEY, columns=["name_key", "month", "members"])
    frames = [table.frame for table in reading]
    assert [str(frame["month"].iloc[0])[:7] for frame in frames] == ["2021-03", "2021-04", "2021-05"]
    assert list(frames[0].columns) == ["name_key", "month", "members"]
    with pytest.raises(ValueProblem, match=r"열 'memberz' 이\(가\) 없음.*members"):
        list(national_pension.read_months(files, key=KEY, columns=["memberz"]))
    write(tmp_path / "again.csv", pension(PENSION_COLUMNS, (ROWS[0],)))
    with pytest.raises(FileError, match=r"\[again.csv\] 202103.csv 와\(과\) 같은 달\(2021-03\)의 파일임"):
        list(national_pension.read_months([*files, tmp_path / "again.csv"], key=KEY))
    (tmp_path / "copy.csv").write_bytes((tmp_path / "202103.csv").read_bytes())
    with pytest.raises(FileError, match="내용이 똑같은 파일임"):
        list(national_pension.read_months([*files, tmp_path / "copy.csv"], key=KEY))


def test_pension_without_a_code_or_a_name(tmp_path: Path) -> None:
    bare = pension(("자료생성년월", "사업장명", "사업자등록번호", "가입자수"), ("2021-03,가,126811,5",))
    with pytest.raises(SchemaError, match=r"'고객법정동주소코드' 이\(가\) 없음"):
        one(write(tmp_path / "a.csv", bare))


# -- 고용·산재보험 --------------------------------------------------------------------------------------

HEADER = "사업장명,사업장주소,사업자등록번호,고용보험상시근로자수,고용업종코드,고용업종명,성립일자\n"


def insured(
    serial: int, persons: int, name: str = "한빛소재(주)", place: str = "대전광역시 유성구 테크노로 1"
) -> str:
    return f"{name},{place},{number(serial)},{persons},26210,부품 제조업,2015-07-01\n"


def zipped(contents: dict[str, bytes], *, cp949: bool = True) -> bytes:
    """A ZIP with names as Windows in Korean writes them."""

    class Unmarked(zipfile.ZipInfo):
        def _encodeFilenameFlags(self) -> tuple[bytes, int]:
            return self.filename.encode("cp949"), self.flag_bits & ~0x800

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            info = (Unmarked if cp949 else zipfile.ZipInfo)(name, (2021, 2, 3, 4, 5, 6))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()


def save(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_insurance_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "가입현황_20191231.csv", HEADER + insured(1, 30, "한빛소재(주) 제2공장"), "cp949")
    (table,) = read_source("employment_insurance", path, key=KEY)
    row = table.frame.iloc[0]
    assert tuple(table.frame.columns[:2]) == ("firm_id", "year")
    assert set(LINK_COLUMNS) <= set(table.frame.columns)
    assert (row["year"], row["region"], row["employees"], row["industry"]) == (2019, "30200", 30, "26210")
    assert row["head_key"] == hash_identifier(f"head|{number(1)[:6]}", KEY)
    assert (row["entity_kind"], row["place_kind"]) == ("corporation_head_office", "plant")
    assert row["joined"] == pd.Timestamp("2015-07-01")


@pytest.mark.parametrize(
    ("encoding", "separator"), [("cp949", ","), ("utf-8-sig", "\t"), ("utf-8", ","), ("cp949", "\t")]
)
@pytest.mark.parametrize("api", [False, True])
def test_every_form_of_an_insurance_file_gives_one_frame(
    tmp_path: Path, encoding: str, separator: str, api: bool
) -> None:
    text = HEADER + insured(1, 30) + insured(2, 4)
    (plain,) = employment_insurance.read(write(tmp_path / "a_20191231.csv", text), key=KEY)
    if api:
        text = text.replace(
            HEADER, "saeopjangNm,addr,saeopjaDrno,sangsiInwonCnt,gyEopjongCd,gyEopjongNm,seongripDt\n"
        )
        text = text.replace("2015-07-01", "20150701")
    path = write(tmp_path / "b_20191231.csv", text.replace(",", separator), encoding)
    (other,) = employment_insurance.read(path, key=KEY)
    assert_frame_equal(other.frame, plain.frame)


def test_a_file_without_numbers_is_read_only_when_asked(tmp_path: Path) -> None:
    text = "사업장명,사업장주소,고용보험상시근로자수\n한빛소재(주),대전광역시 유성구 테크노로 1,30\n"
    path = write(tmp_path / "a_20151231.csv", text)
    with pytest.raises(SchemaError, match=r"사업자등록번호가 없는 해의 파일임.*numbers: optional"):
        read_source("employment_insurance", path, key=KEY)
    (table,) = read_source("employment_insurance", path, key=KEY, options={"numbers": "optional"})
    assert table.frame["firm_id"].isna().all()
    assert table.frame["head_key"].isna().all()
    assert table.frame["name_key"].tolist() == [hash_identifier("name|한빛소재", KEY)]
    with pytest.raises(SchemaError, match="'사업장명'"):  # another missing column is another sentence
        read_source(
            "employment_insurance",
            write(tmp_path / "b_20151231.csv", text.replace("사업장명", "무엇")),
            key=KEY,
        )
    with pytest.raises(PlanError, match=r"required, optional"):
        read_source("employment_insurance", path, key=KEY, options={"numbers": "maybe"})


def test_rows_of_the_other_insurance_are_left_out(tmp_path: Path) -> None:
    rows = [insured(1, 30), insured(1, 31)]
    text = f"보험구분,{HEADER}" + f"고용,{rows[0]}" + f"산재,{rows[1]}"
    (table,) = employment_insurance.read(write(tmp_path / "a_20191231.csv", text), key=KEY)
    assert table.frame["employees"].tolist() == [30]
    assert [(s.reason, s.rows) for s in table.flow[-2:]] == [("산재보험 행", -1), ("고용보험 행", 1)]


def test_zip_of_several_years_in_folders(tmp_path: Path) -> None:
    content = zipped(
        {
            "가입 현황/2018년/사업장 명부.csv": (HEADER + insured(1, 10)).encode("cp949"),
            "가입 현황/2019년/": b"",
            "가입 현황/2019년/가입현황_20191231.txt": (HEADER + insured(1, 12))
            .replace(",", "\t")
            .encode("utf-8-sig"),
            "__MACOSX/가입 현황/._가입현황_20191231.csv": b"\x00\x01",
            "가입 현황/읽어보기.hwp": b"note",
        }
    )
    path = save(tmp_path / "고용보험.zip", content)
    assert is_packed(path)
    assert [m.name for m in members(path)] == [
        "가입 현황/2018년/사업장 명부.csv",
        "가입 현황/2019년/가입현황_20191231.txt",
    ]
    tables = read_source("employment_insurance", path, key=KEY)
    assert [(t.notes["year"], t.file, t.frame["employees"].tolist()) for t in tables] == [
        (2018, "사업장 명부.csv", [10]),
        (2019, "가입현황_20191231.txt", [12]),
    ]
    # the same rows alone
    alone = employment_insurance.read(write(tmp_path / "a_20181231.csv", HEADER + insured(1, 10)), key=KEY)
    assert_frame_equal(tables[0].frame, alone[0].frame)


def test_tables_of_a_zip_are_kept_as_they_were_read(tmp_path: Path) -> None:
    names = ("현황_20181231.csv", "현황_20191231.csv", "현황_20191231_수정.csv")
    content = {f"폴더/{n}": (HEADER + insured(1, 10 + i)).encode("cp949") for i, n in enumerate(names)}
    path = save(tmp_path / "고용보험.zip", zipped(content))
    first, second = (
        read_source("employment_insurance", path, key=KEY, store=TableStore(tmp_path / "kept", code="x"))
        for _ in range(2)
    )
    for read, kept in zip(first, second, strict=True):
        assert_frame_equal(read.frame, kept.frame)
        assert (read.source, read.repairs, read.flow, read.notes) == (
            kept.source,
            kept.repairs,
            kept.flow,
            kept.notes,
        )
    assert [table.source for table in second] == [path / "폴더" / names[0], path / "폴더" / names[2]]


def test_errors_in_a_zip_name_the_zip_and_the_member(tmp_path: Path) -> None:
    bad = (HEADER + insured(1, 10).replace(",10,", ",열,")).encode("cp949")
    path = save(tmp_path / "고용보험.zip", zipped({"현황_20191231.csv": bad}))
    with pytest.raises(
        ValueProblem, match=r"\[고용보험.zip > 현황_20191231.csv > 2행 > 열 고용보험상시근로자수\]"
    ):
        employment_insurance.read(path, key=KEY)
    nameless = save(tmp_path / "현황.zip", zipped({"가.csv": bad, "나.csv": bad}))
    with pytest.raises(ValueProblem, match=r"\[가.csv\] 파일이 어느 해의 자료인지 알 수 없음"):
        employment_insurance.read(nameless, key=KEY)
    # one file in a ZIP is of the year of the ZIP
    single = save(
        tmp_path / "현황_20171231.zip", zipped({"명부.csv": (HEADER + insured(1, 3)).encode("cp949")})
    )
    assert employment_insurance.read(single, key=KEY)[0].notes["year"] == 2017


def test_zips_that_are_not_read(tmp_path: Path) -> None:
    bomb = save(
        tmp_path / "bomb_20191231.zip", zipped({"a_20191231.csv": HEADER.encode() + b"0" * (3 << 20)})
    )
    assert bomb.stat().st_size < 10_000
    with pytest.raises(FileError, match=r"\[bomb_20191231.zip > a_20191231.csv\] 압축을 풀면 1MB 를 넘음"):
        employment_insurance.read(bomb, key=KEY)
    # a header that lies about the size does not help: the bytes themselves are counted
    content = bytearray(bomb.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 10)
    with pytest.raises(FileError):
        employment_insurance.read(save(tmp_path / "lie_20191231.zip", bytes(content)), key=KEY)
    inner = save(tmp_path / "b.zip", zipped({"안.zip": b"PK\x03\x04"}))
    with pytest.raises(FileError, match=r"압축 파일 안에 또 압축 파일 '안.zip' 이\(가\) 있음"):
        employment_insurance.read(inner, key=KEY)
    empty = save(tmp_path / "c.zip", zipped({"읽어보기.hwp": b"x"}))
    with pytest.raises(FileError, match="압축 파일 안에 표"):
        employment_insurance.read(empty, key=KEY)
    whole = zipped({"a_20191231.csv": (HEADER + insured(1, 3)).encode("cp949")})
    with pytest.raises(FileError, match="압축 파일이 깨졌거나 끝이 잘림"):
        employment_insurance.read(save(tmp_path / "d.zip", whole[: len(whole) // 2]), key=KEY)
    locked = bytearray(whole)
    locked[locked.rindex(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(FileError, match="암호가 걸린 압축 파일임"):
        employment_insurance.read(save(tmp_path / "e.zip", bytes(locked)), key=KEY)


def test_the_later_revision_is_used_and_it_is_said(tmp_path: Path) -> None:
    first = write(tmp_path / "가입현황_20201231.csv", HEADER + insured(1, 10))
    second = write(tmp_path / "가입현황_20201231_수정.csv", HEADER + insured(1, 11))
    (table,) = read_source("employment_insurance", [first, second], key=KEY)
    assert table.frame["employees"].tolist() == [11]
    assert table.notes["revisions_left"] == (first.name,)
    (repair,) = [r for r in table.repairs if "2020년" in r.kind]
    assert (repair.kind, repair.before, repair.after) == (
        "2020년 파일이 2개: 뒤의 것을 씀",
        first.name,
        second.name,
    )
    (chosen,) = read_source(
        "employment_insurance", [first, second], key=KEY, options={"revision": "20201231.csv"}
    )
    assert chosen.frame["employees"].tolist() == [10]
    assert any("계획이 정한 것을 씀" in r.kind for r in chosen.repairs)
    with pytest.raises(FileError, match=r"이름에 '2020' 이\(가\) 든 것이 2개임"):
        read_source("employment_insurance", [first, second], key=KEY, options={"revision": "2020"})


@pytest.mark.parametrize(
    ("early", "late"),
    [
        ("현황_20201231.csv", "현황_20201231_20210715.csv"),
        ("현황_20201231_20210301.csv", "현황_20201231_20210715.csv"),
        ("현황_20201231_v1.csv", "현황_20201231_v2.csv"),
        ("현황_20201231.csv", "현황_rev2_20201231.csv"),
        ("현황_2020.12.31.csv", "현황_2020.12.31(정정).csv"),
    ],
)
def test_which_revision_is_later(tmp_path: Path, early: str, late: str) -> None:
    files = [
        write(tmp_path / early, HEADER + insured(1, 10)),
        write(tmp_path / late, HEADER + insured(1, 11)),
    ]
    (table,) = employment_insurance.read_all(files, key=KEY)
    assert (table.notes["year"], table.frame["employees"].tolist()) == (2020, [11])


def test_two_files_of_a_year_that_nothing_tells_apart(tmp_path: Path) -> None:
    rows = [(HEADER + insured(1, 10 + i)).encode() for i in range(2)]

    def packed(months: tuple[int, int]) -> Path:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for folder, month, content in zip("가나", months, rows, strict=True):
                archive.writestr(
                    zipfile.ZipInfo(f"{folder}/현황_20201231.csv", (2021, month, 1, 0, 0, 0)), content
                )
        return save(tmp_path / "현황.zip", buffer.getvalue())

    with pytest.raises(FileError, match=r"2020년 파일이 둘인데 어느 것이 뒤의 것인지.*revision"):
        employment_insurance.read(packed((3, 3)), key=KEY)
    (named,) = employment_insurance.read(packed((3, 3)), key=KEY, revision="가/")
    assert named.frame["employees"].tolist() == [10]
    (later,) = employment_insurance.read(packed((9, 3)), key=KEY)  # when each was packed tells it
    assert later.frame["employees"].tolist() == [10]


def test_parts_of_a_year_are_no_revisions(tmp_path: Path) -> None:
    files = [
        write(tmp_path / f"{n}_20201231.csv", HEADER + insured(i + 1, 10 + i))
        for i, n in enumerate(("대구", "부산"))
    ]
    tables = read_source("employment_insurance", files, key=KEY)
    assert [table.frame["employees"].tolist() for table in tables] == [[10], [11]]


# -- 공장등록 -----------------------------------------------------------------------------------------

PLANTS = "시도,시군구,회사명,공장관리번호,사업자등록번호,단지명,최초승인일,최초등록일,종업원(남),종업원(여),종업원(외국인),종업원(합계),대표업종,업종코드,차수,법인주소,공장대표주소(도로명),공장대표주소(지번)\n"


def plant(
    parts: tuple[Any, ...] = (10, 5, 0, 15),
    road: str = "충청남도 천안시 서북구 공단로 1",
    lot: str = "충청남도 천안시 서북구 성성동 1",
    industry: str = "26210,26210",
) -> str:
    return f"충청남도,천안시 서북구,(주)한빛소재,441332017123456,{number(1)},천안제2산업단지,2010-01-02,2011-03-04,{','.join(map(str, parts))},{industry},10,서울특별시 중구 퇴계로 1,{road},{lot}\n"  # fmt: skip


def plants(path: Path, **options: Any) -> Table:
    (table,) = factory_registration.read(path, key=KEY, **options)
    return table


def test_factory_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "전국공장등록현황_20231231.csv", PLANTS + plant(), "cp949")
    (table,) = read_source("factory_registration", path, key=KEY)
    row = table.frame.iloc[0]
    assert tuple(table.frame.columns[: len(LINK_COLUMNS)]) == LINK_COLUMNS
    assert row["firm_id"] == hash_identifier(number(1), KEY)
    assert row["factory_key"] == hash_identifier("factory|441332017123456", KEY)
    assert (row["region"], row["head_office_region"], row["complex"]) == ("44133", "11140", "천안제2산업단지")
    assert (row["place_kind"], row["entity_kind"]) == ("plant", "corporation_head_office")
    assert (row["joined"], row["approved"]) == (pd.Timestamp("2011-03-04"), pd.Timestamp("2010-01-02"))
    assert row[["employees_men", "employees_women", "employees_foreign", "employees"]].tolist() == [
        10,
        5,
        0,
        15,
    ]
    assert (row["industry"], row["industries"], row["ksic_revision"]) == ("26210", "26210", 10)
    text = table.frame.to_csv()
    assert "한빛" not in text
    assert "공단로" not in text
    kept = plants(path, keep_address="yes").frame
    assert kept["written_address"].tolist() == ["충청남도 천안시 서북구 공단로 1"]


def test_headers_of_a_local_office(tmp_path: Path) -> None:
    text = '연번,상호명,소재지도로명주소,업종코드,차수,최초등록일,종업원수\n1,㈜한빛소재 연구소,천안시 서북구 공단로 1,"C26210, 26221",10차,2011.3.4,15\n'
    path = write(tmp_path / "공장현황_20231231.csv", text, "utf-8-sig")
    table = plants(path)  # an address without its 시·도 is not guessed
    assert table.frame["region"].isna().all()
    assert any("읽을 수 없는 지역" in r.kind for r in table.repairs)
    table = plants(path, province="충청남도")
    row = table.frame.iloc[0]
    assert (row["region"], row["employees"], row["place_kind"]) == ("44133", 15, "laboratory")
    assert (row["industry"], row["industries"], row["ksic_revision"]) == ("26210", "26210|26221", 10)
    told = {r.kind: r.count for r in table.repairs}
    assert told["도로명 주소 앞에 시·도를 붙임"] == 1
    assert told["업종이 여럿임: 대표업종(없으면 첫 업종)을 씀"] == 1


def test_address_of_a_plant_from_what_the_row_has(tmp_path: Path) -> None:
    rows = (
        plant(road="") + plant(road="공단로 1") + plant(road="", lot="") + plant(road="서울 아님", lot="모름")
    )
    table = plants(write(tmp_path / "a_20231231.csv", PLANTS + rows))
    assert table.frame["region"].tolist() == ["44133"] * 4
    told = {r.kind: (r.count, r.row) for r in table.repairs}
    assert told["도로명 주소로 지역을 알 수 없어 지번 주소를 읽음"] == (2, 2)
    assert told["주소로 지역을 알 수 없어 시도·시군구 칸을 읽음"] == (2, 4)
    only = PLANTS.replace(",공장대표주소(도로명),공장대표주소(지번)", "")
    bare = plants(write(tmp_path / "b_20231231.csv", only + plant().rsplit(",", 2)[0] + "\n"))
    assert bare.frame["region"].tolist() == ["44133"]


def test_persons_of_a_plant_add_up(tmp_path: Path) -> None:
    right = plant((10, 5, 2, 15)) + plant((10, 5, 2, 17))  # foreigners among men and women, or beside them
    blank = plant((10, 5, 2, ""))
    wrong = plant((10, 5, 2, 16))
    path = write(tmp_path / "a_20231231.csv", PLANTS + right + blank + wrong)
    table = plants(path)
    assert table.frame["employees"].tolist() == [15, 17, 17, 16]
    told = {r.kind: (r.count, r.row, r.before) for r in table.repairs if "종업원" in r.kind}
    assert told["종업원 합계가 비어 남·여·외국인을 더함"] == (1, 4, "")
    assert told["종업원 합계가 남·여·외국인의 합과 다름: 합계를 씀"] == (
        1,
        5,
        "남 10, 여 5, 외국인 2, 합계 16",
    )
    assert plants(path, conflict="sum").frame["employees"].tolist()[3] == 17
    assert pd.isna(plants(path, conflict="missing").frame["employees"].iloc[3])
    with pytest.raises(
        ValueProblem, match=r"5행 > 열 종업원\(합계\)\] 종업원 합계가 남·여·외국인의 합과 다름"
    ):
        plants(path, conflict="error")
    with pytest.raises(PlanError, match="total, sum, missing, error"):
        plants(path, conflict="best")


def test_factory_errors(tmp_path: Path) -> None:
    path = write(tmp_path / "공장.csv", PLANTS + plant())
    with pytest.raises(ValueProblem, match="어느 해의 자료인지"):
        plants(path)
    assert plants(path, year="2023-12").frame["region"].tolist() == ["44133"]
    with pytest.raises(ValueProblem, match="암호화할 열쇠가 없음"):
        factory_registration.read(path, year=2023)
    with pytest.raises(ValueProblem, match="자릿수나 검증번호가 틀림"):
        plants(write(tmp_path / "b_20231231.csv", PLANTS + plant().replace(number(1), "1248100001")))
    unknown = plant().replace(",10,서울", ",7,서울")
    with pytest.raises(ValueProblem, match="모르는 구분 '7'"):
        plants(write(tmp_path / "c_20231231.csv", PLANTS + unknown))
