"""주민등록번호 stop, telephones and e-mails are told, corporations are not taken for persons; nothing is ever printed."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from evalkit.errors import DataError, DisclosureError
from evalkit.ingest import identifiers as ids
from evalkit.ingest.leaks import BUSINESS, CORPORATE, LIKELY, RESIDENT, refuse_leaks, search, search_folder
from evalkit.ingest.personal import (
    PersonalFinding,
    birth_date,
    is_resident_number,
    refuse_residents,
    resident_numbers,
    search_cells,
)


def resident(first_twelve: str) -> str:
    """The check digit by the rule, written out."""
    weights = [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]
    total = sum(w * int(d) for w, d in zip(weights, first_twelve, strict=True))
    start = 13 if first_twelve[6] in "5678" else 11
    return first_twelve + str((start - total % 11) % 10)


def corporate(first_twelve: str) -> str:
    return first_twelve + str(ids.corporate_check_digit(first_twelve))


PERSON = resident("900101123456")
# 900101 1234567 by hand: 2·9+3·0+4·0+5·1+6·0+7·1+8·1+9·2+2·3+3·4+4·5+5·6 = 124, 124 mod 11 = 3, 11 − 3 = 8


def test_check_digit_by_hand():
    assert PERSON == "9001011234568"
    assert is_resident_number("9001011234568")
    assert not is_resident_number("9001011234567")
    assert is_resident_number(resident("850505512345"))  # a foreigner
    assert is_resident_number("2101013999999")  # born after October 2020: nothing checks
    assert not is_resident_number("9013011234561")
    assert not is_resident_number("900101123456")


@pytest.mark.parametrize(
    ("six", "seventh", "day"),
    [
        ("900101", "1", dt.date(1990, 1, 1)),
        ("050229", "3", None),
        ("040229", "4", dt.date(2004, 2, 29)),
        ("110111", "1", None),  # 1911: the head of a 법인등록번호 of Seoul
        ("991231", "8", None),
        ("900101", "9", None),
    ],
)
def test_dates_of_birth(six, seventh, day):
    assert birth_date(six, seventh) == day


@pytest.mark.parametrize(
    "text",
    [
        PERSON,
        f"{PERSON[:6]}-{PERSON[6:]}",
        f"홍길동({PERSON[:6]} - {PERSON[6:]})",
        f"{PERSON}.0",
        f"{PERSON[:6]} {PERSON[6:]}",
    ],
)
def test_forms_of_a_resident_number(text):
    assert resident_numbers([text]).tolist() == [True]


@pytest.mark.parametrize(
    "text",
    [f"1{PERSON}", f"{PERSON}1", f"{PERSON[:12]}9", f"0.{PERSON}", "900101-1", "9001011234568.5", "90-01-01"],
)
def test_what_is_no_resident_number(text):
    assert resident_numbers([text]).tolist() == [False]


def both_right() -> str:
    """Thirteen digits that pass as a person and as a corporation."""
    return next(number for k in range(100_000) if is_resident_number(number := corporate(f"1101113{k:05d}")))


def test_corporations_are_not_persons():
    number = both_right()
    assert resident_numbers([number]).tolist() == [
        True
    ]  # alone in a column of remarks it must be taken for a person
    assert resident_numbers([number], "법인등록번호").tolist() == [False]
    others = [corporate(f"13011100{k:04d}") for k in range(20)]
    assert not resident_numbers([*others, number]).any()  # a column of such numbers
    mixed = resident_numbers([*others, PERSON], "법인등록번호(주민등록번호)")
    assert mixed.tolist() == [False] * 20 + [True]
    assert resident_numbers([*others, PERSON]).tolist() == [False] * 20 + [
        True
    ]  # 개인사업자 in a 법인 column
    assert resident_numbers([*others, PERSON], "법인등록번호").tolist()[-1]


def test_numbers_without_a_check_need_more_than_their_form():
    young = "2101013999999"
    assert resident_numbers([young]).tolist() == [False]
    assert resident_numbers([f"{young[:6]}-{young[6:]}"]).tolist() == [True]
    assert resident_numbers([young], "주민등록번호").tolist() == [True]


def test_a_sheet_is_searched_whole():
    cells = np.array(
        [
            ["기업명", "비고", "연락처", "전자우편"],
            ["가나(주)", "", "02-123-4567", "a@b.co.kr"],
            ["다라(주)", f"대표 {PERSON[:6]}-{PERSON[6:]}", "010-1234-5678", ""],
            ["마바(주)", "900101-1******", "01012345678", ""],
        ],
        dtype=object,
    )
    found = search_cells(cells, ["기업명", "비고", "연락처", "전자우편"])
    assert [(f.kind, f.column, f.row, f.cells) for f in found] == [
        ("주민등록번호", "비고", 3, 1),
        ("주민등록번호(뒷자리 가림)", "비고", 4, 1),
        ("휴대전화 번호", "연락처", 3, 2),
        ("전화번호", "연락처", 2, 1),
        ("전자우편 주소", "전자우편", 2, 1),
    ]
    with pytest.raises(
        DisclosureError, match=r"\[성과.xlsx > 시트 총괄 > 3행 > 열 비고\] 주민등록번호로 보이는"
    ) as caught:
        refuse_residents(found, "성과.xlsx", "총괄")
    assert PERSON[6:] not in str(caught.value)
    assert PERSON[:6] not in str(caught.value)
    assert repr(found).count(PERSON[:6]) == 0
    refuse_residents(found[2:], "성과.xlsx")
    assert search_cells(np.empty((0, 0), dtype=object), []) == ()


def test_amounts_dates_and_codes_are_not_persons():
    cells = np.array(
        [
            ["1,234,567,890,123", "2023-01-05", "4161033025", "9001011234567"],
            ["9001011.234568", "0", "", "x"],
        ],
        dtype=object,
    )
    assert search_cells(cells, ["", "", "", ""]) == ()


def test_how_many_is_said():
    with pytest.raises(DisclosureError, match="같은 열에 4곳 더"):
        refuse_residents([PersonalFinding("주민등록번호", "비고", 2, 5)], "x.csv")


# -- numbers that a spreadsheet destroyed, and keys ------------------------------------------------------


def test_what_became_of_each_number():
    good = "1248100998"
    values = [
        good,
        "124-81-00998",
        1248100998.0,
        "1.2481E+09",
        "1.248100998E+09",
        "1248100997",
        "12481",
        "",
        None,
        "012",
    ]
    assert ids.number_states(values).tolist() == [
        "온전함", "온전함", "소수점 뺌", "지수로 바뀌어 되살릴 수 없음", "지수에서 되돌림", "검증번호가 틀림", "자릿수가 틀림",
        "비어 있음", "비어 있음", "자릿수가 틀림",
    ]  # fmt: skip
    assert ids.number_states(["1.10111E+12", "130111-0006246", 1301110006246.0], 13).tolist() == [
        "지수로 바뀌어 되살릴 수 없음", "온전함", "소수점 뺌",
    ]  # fmt: skip
    nine = next(f"0{k:08d}" for k in range(1, 100))
    lost = nine + str(ids.business_check_digit(nine))
    assert ids.number_states([lost.lstrip("0").zfill(8), float(lost)]).tolist()[0] in (
        "앞자리 0 되살림",
        "온전함",
    )
    assert ids.normalise_number("1.248100998E+09") == good
    assert ids.normalise_number("1.2481E+09") != good


def test_fingerprints_tell_keys_apart_and_nothing_else():
    one, other = ids.key_fingerprint(b"one"), ids.key_fingerprint(b"other")
    assert len(one) == 8
    assert one != other
    assert ids.key_fingerprint(b"one") == one
    assert ids.key_fingerprint(b"") == ""
    ids.refuse_mixed_keys([("a", one), ("b", ""), ("c", one)])
    with pytest.raises(DataError, match=f"다른 열쇠로 암호화되어 이을 수 없음: a .{one}., c .{other}."):
        ids.refuse_mixed_keys([("a", one), ("b", ""), ("c", other)])


# -- leaks ----------------------------------------------------------------------------------------------


def test_numbers_in_texts_frames_and_json():
    frame = pd.DataFrame({"firm_id": ["0f3a9b7c1d2e4f60"], "memo": ["사업자 124-81-00998"], "n": [3.5]})
    assert [(leak.place, leak.kind, leak.count) for leak in search(frame, place="패널")] == [
        ("패널 > memo", BUSINESS, 1)
    ]
    value = {
        "a": [{"b": "130111-0006246"}],
        "c": 1248100998,
        "d": True,
        "e": None,
        PERSON: [f"{PERSON[:6]}-{PERSON[6:]}"],
    }
    got = {(leak.place, leak.kind): leak.count for leak in search(value)}
    assert got == {("값 > a > b", CORPORATE): 1, ("값 > c", LIKELY): 1, ("값 > …", RESIDENT): 1}
    assert search("<td>124-81-00997</td><td>2020-01-02</td><td>1,248,100,998</td>") == ()
    assert search(np.array([1248100998.0, 0.5])) == (search(1248100998)[0],)
    assert search({"x": "abcdef12481009989"}) == ()  # digits of a hash


def test_known_numbers_are_found_anywhere_and_nothing_else():
    known = ["124-81-00998", "130111-0006246", "없음"]
    assert search("매출 1248100998원", known)[0].kind == BUSINESS
    assert search("x124-81-00998y", known)[0].count == 1
    assert search(pd.DataFrame({"v": [1301110006246]}), known)[0].kind == CORPORATE
    assert search("116-82-00276 0.1248100998", known) == ()  # a right number that never went in; a fraction


def test_a_folder_is_opened_to_the_bottom(tmp_path):
    number = "124-81-00998"
    (tmp_path / "inner").mkdir()
    (tmp_path / "clean.html").write_text("<p>제조업 3곳</p>", encoding="utf-8")
    (tmp_path / "inner" / "cp949.csv").write_text(f"기업,번호\n가,{number}\n", encoding="cp949")
    (tmp_path / "escaped.json").write_text('{"a": "\\u0031248100998"}', encoding="utf-8")
    np.savez(tmp_path / "arrays.npz", ids=np.array(["a", number]), x=np.arange(3.0))
    pd.DataFrame({"번호": [number]}).to_excel(tmp_path / "book.xlsx", index=False)
    (tmp_path / "wide.bin").write_bytes(b"\x00\x01" + number.replace("-", "").encode("utf-16-le"))
    (tmp_path / "broken.json").write_text(f"{{ {number}", encoding="utf-8")
    leaks = search_folder(tmp_path, [number])
    assert [leak.place for leak in leaks] == [
        "arrays.npz", "book.xlsx", "broken.json", "escaped.json", "inner/cp949.csv", "wide.bin",
    ]  # fmt: skip
    assert {leak.count for leak in leaks} == {1}
    blind = {leak.place: leak.kind for leak in search_folder(tmp_path)}
    assert blind["inner/cp949.csv"] == BUSINESS
    assert blind["escaped.json"] == LIKELY
    with pytest.raises(DisclosureError, match=r"\[arrays.npz\] 사업자등록번호 1개가 남아 있음") as caught:
        refuse_leaks(leaks)
    assert "00998" not in str(caught.value)
    refuse_leaks([leak for leak in search_folder(tmp_path) if leak.kind == LIKELY])
    with pytest.raises(DisclosureError, match="열 자리 수"):
        refuse_leaks(search(1248100998), likely=True)
