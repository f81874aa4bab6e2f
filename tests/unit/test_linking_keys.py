"""Keys by which firm files meet: names by hand, numbers against the hash of the standard library."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pandas as pd
import pytest

from evalkit.errors import ValueProblem
from evalkit.ingest.identifiers import ENTITY_KINDS, business_check_digit, entity_kind, hash_head
from evalkit.ingest.linking.keys import (
    LINK_COLUMNS,
    PLACE_KINDS,
    link_names,
    name_keys,
    name_roots,
    place_kinds,
    split_place,
    with_link_columns,
)
from evalkit.ingest.reading import read_table
from evalkit.ingest.table import ColumnSpec, TableSpec

KEY = b"test key"


def of(text: str) -> str:
    return hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()[:16]


@pytest.mark.parametrize(
    ("name", "root", "kind"),
    [
        ("(주)한빛소재", "한빛소재", "unknown"),
        ("㈜ 한빛 소재", "한빛소재", "unknown"),
        ("한빛소재 주식회사 본사", "한빛소재", "head_office"),
        ("(주)한빛소재 대전제2공장", "한빛소재", "plant"),
        ("(주)한빛소재 대전 제2 공장", "한빛소재", "plant"),
        ("한빛소재(주)부산광역시지점", "한빛소재", "branch"),
        ("㈜한빛소재 수원시 장안구 영업소", "한빛소재", "branch"),
        ("한빛소재 경기화성공장", "한빛소재", "plant"),
        ("한빛소재(대전 공장)", "한빛소재", "plant"),
        ("한빛소재 충청지사", "한빛소재", "branch"),
        ("유바프은행 한국지점", "유바프은행", "branch"),
        ("(주)한빛소재 R&D센터", "한빛소재", "laboratory"),
        ("(주)한빛소재 기업부설연구소", "한빛소재", "laboratory"),
        ("(주)한빛소재부설연구소", "한빛소재", "laboratory"),
        ("(주)한빛소재 기술연구소", "한빛소재", "laboratory"),
        # firms bear these words too: without anything before the word, the kind is not told
        ("(주)한빛소재기술연구소", "한빛소재", "unknown"),
        ("한국식품연구소", "한국식품", "unknown"),
        ("정림건축사사무소", "정림건축사사무소", "unknown"),
        ("아파트관리사무소", "아파트관리사무소", "unknown"),
        ("한빛소재 서울사무소", "한빛소재", "branch"),
        ("코리아21공장", "코리아21", "plant"),
        ("(주)공장", "공장", "unknown"),  # two letters always stay
        ("대전공장", "대전", "plant"),
        ("우성기전(주", "우성기전", "unknown"),  # cut names
        ("주)우성기전", "우성기전", "unknown"),
        ("HANBIT Co., Ltd. 본사", "hanbit", "head_office"),
        ("한빛코Ltd.", "한빛코", "unknown"),
        ("농업회사법인 한빛 유한회사", "한빛", "unknown"),
        ("인더플랜트(주)", "인더플랜트", "unknown"),
        ("", "", "unknown"),
    ],
)
def test_root_and_place(name: str, root: str, kind: str) -> None:
    assert split_place(name) == (root, kind)
    assert kind in PLACE_KINDS


def test_names_become_keys() -> None:
    names = ["(주)한빛소재", None, "한빛소재 대전공장", "", "한빛소재"]
    assert name_roots(names).tolist() == ["한빛소재", None, "한빛소재", None, "한빛소재"]
    keys, kinds = link_names(names, KEY)
    assert keys.tolist() == [of("name|한빛소재"), None, of("name|한빛소재"), None, of("name|한빛소재")]
    assert kinds.tolist() == ["unknown", "unknown", "plant", "unknown", "unknown"]
    assert name_keys(["한빛소재"], b"other")[0] != keys[0]


@pytest.mark.parametrize(
    ("digits", "kind"),
    [
        ("01", "individual"), ("79", "individual"), ("90", "individual"), ("99", "individual"),
        ("81", "corporation_head_office"), ("86", "corporation_head_office"), ("87", "corporation_head_office"),
        ("88", "corporation_head_office"), ("85", "corporation_branch"), ("82", "non_profit"), ("83", "public"),
        ("84", "foreign"), ("80", "unknown"), ("89", "unknown"), ("00", "unknown"),
    ],
)  # fmt: skip
def test_what_holds_a_number(digits: str, kind: str) -> None:
    assert entity_kind(f"123{digits}1") == entity_kind(f"123{digits}12345") == kind
    assert kind in ENTITY_KINDS


def test_what_is_no_number_holds_nothing() -> None:
    assert [entity_kind(text) for text in ("", "12381", "12a811")] == ["unknown"] * 3
    assert hash_head("123811", KEY) == of("head|123811")


def test_place_by_name_then_by_number() -> None:
    told = ["plant", "unknown", "unknown", "unknown", "unknown"]
    held = [
        "corporation_head_office",
        "corporation_head_office",
        "corporation_branch",
        "individual",
        "foreign",
    ]
    assert place_kinds(told, held).tolist() == ["plant", "head_office", "branch", "unknown", "unknown"]


def test_link_columns_stand_in_front_and_names_stay_behind() -> None:
    frame = pd.DataFrame(
        {"x": [1, 2], "name": ["한빛 공장", "한빛"], "day": pd.to_datetime(["2020-01-02", None])}
    )
    out = with_link_columns(frame, names="name", key=KEY, joined="day", default_place="branch")
    assert list(out.columns) == [*LINK_COLUMNS, "x"]
    assert out["place_kind"].tolist() == ["plant", "branch"]
    assert out["firm_id"].isna().all()
    assert out["head_key"].isna().all()
    assert out["region"].isna().all()
    assert out["entity_kind"].tolist() == ["unknown"] * 2
    assert out["joined"].tolist()[0] == pd.Timestamp("2020-01-02")
    kept = with_link_columns(frame, names="name", key=KEY, keep_names=True)
    assert kept["name"].tolist() == ["한빛 공장", "한빛"]
    assert kept["joined"].isna().all()


def number(serial: int, kind: str = "81") -> str:
    nine = f"124{kind}{serial:04d}"
    return f"{nine}{business_check_digit(nine)}"


SPEC = TableSpec(
    name="made",
    title="만든 표",
    row_meaning="한 행",
    columns=(
        ColumnSpec("firm_id", ("사업자등록번호",), "business_number", "번호", with_head=True),
        ColumnSpec("x", ("값",), "number", "값", required=False),
    ),
)
HEADS = TableSpec(
    name="heads",
    title="만든 표",
    row_meaning="한 행",
    columns=(ColumnSpec("head_key", ("사업자등록번호",), "number_head", "앞 여섯 자리", with_head=True),),
)


def test_whole_numbers_tell_their_head(tmp_path) -> None:  # type: ignore[no-untyped-def]
    good, branch = number(1), number(2, "85")
    wrong = f"{good[:9]}{(int(good[9]) + 1) % 10}"
    path = tmp_path / "a.csv"
    path.write_text(
        f"사업자등록번호,값\n{good[:3]}-{good[3:5]}-{good[5:]},1\n{branch}.0,2\n{wrong},3\n,4\n", "utf-8"
    )
    frame = read_table(path, SPEC, key=KEY, invalid_identifier="unlinked").frame
    assert frame["firm_id"].tolist()[:2] == [of(good), of(branch)]
    assert frame["firm_id"].str.startswith("u-").tolist() == [False, False, True, True]
    heads = [of(f"head|{good[:6]}"), of(f"head|{branch[:6]}"), of(f"head|{good[:6]}")]
    assert frame["head_key"].tolist()[:3] == heads
    assert pd.isna(frame["head_key"].iloc[3])
    assert frame["entity_kind"].tolist() == ["corporation_head_office", "corporation_branch", "corporation_head_office", "unknown"]  # fmt: skip
    assert good[:6] not in frame.to_csv()


def test_published_heads_in_every_spelling(tmp_path) -> None:  # type: ignore[no-untyped-def]
    whole = number(7)
    texts = ["124811", "124811.0", "124811****", "124-81-1****", whole, "12481"]
    path = tmp_path / "a.csv"
    path.write_text("사업자등록번호,값\n" + "".join(f"{t},1\n" for t in texts) + "-,2\n", "utf-8")
    frame = read_table(path, HEADS, key=KEY).frame
    assert frame["head_key"].tolist()[:4] == [of("head|124811")] * 4
    assert frame["head_key"].tolist()[4:6] == [of(f"head|{whole[:6]}"), of("head|012481")]
    assert pd.isna(frame["head_key"].iloc[6])
    # only the whole number names the firm itself
    assert frame["firm_id"].notna().tolist() == [False] * 4 + [True, False, False]
    assert frame["firm_id"].iloc[4] == of(whole)


@pytest.mark.parametrize("text", ["1248", "1248가1", "124811****12"])
def test_what_is_no_head_is_an_error_that_shows_no_number(tmp_path, text: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.csv"
    path.write_text(f"사업자등록번호,값\n124811,1\n{text},1\n", "utf-8")
    with pytest.raises(
        ValueProblem, match=r"3행 > 열 사업자등록번호\] 사업자등록번호 앞 여섯 자리로 읽을 수 없는 값"
    ) as caught:
        read_table(path, HEADS, key=KEY)
    assert text not in str(caught.value)


def test_a_number_needs_a_key(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.csv"
    path.write_text("사업자등록번호,값\n124811,1\n", "utf-8")
    with pytest.raises(ValueProblem, match="암호화할 열쇠가 없음"):
        read_table(path, HEADS)


def test_no_file_column_still_gives_the_columns(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.csv"
    path.write_text("값\n1\n", "utf-8")
    loose = SPEC.with_columns(firm_id={"required": False})
    frame = read_table(path, loose, key=KEY).frame
    assert np.array_equal(frame[["firm_id", "head_key"]].isna(), [[True, True]])
    assert frame["entity_kind"].tolist() == ["unknown"]


def test_the_longest_word_of_a_place_with_its_number_is_seen() -> None:
    """The word stands at the very beginning of the last ten letters."""
    assert split_place("(주)한빛소재 기업부설연구소제12") == ("한빛소재", "laboratory")
    assert split_place("(주)한빛소재 기술개발센터제12") == ("한빛소재", "laboratory")
