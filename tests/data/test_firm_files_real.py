"""국민연금 as it is published: the real sample through the reader, every count against a plain one, and under other headers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from tests.helpers.shared_files import REAL, needs_real

from evalkit.ingest.identifiers import hash_identifier
from evalkit.ingest.regions import municipalities
from evalkit.ingest.sources import national_pension
from evalkit.ingest.table import Table
from evalkit.simulate.establishments.pension import ENGLISH_COLUMNS
from evalkit.simulate.registers import PENSION_COLUMNS

pytestmark = needs_real
KEY = b"test key"
SAMPLE = REAL / "nps_firms_202204_sample.csv"


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    return pd.read_csv(SAMPLE, dtype=str, keep_default_na=False, encoding="utf-8-sig").iloc[:-1]


@pytest.fixture(scope="module")
def table() -> Table:
    (one,) = national_pension.read(SAMPLE, key=KEY, cut_last_row="drop")
    return one


def test_every_row_is_accounted_for(table: Table) -> None:
    assert [(s.reason, s.rows) for s in table.flow] == [
        ("머리글 아래에서 읽은 행", 29_975),
        ("도중에 끊긴 마지막 행", -1),
        ("자료 행", 29_974),
    ]
    assert len(table.frame) == 29_974


def test_every_repair_is_explained(table: Table, raw: pd.DataFrame) -> None:
    """Oracle: each repair counted by a plain search in the file."""
    told = {(r.column, r.kind): r.count for r in table.repairs}
    loose = {
        name: int(raw[name].map(lambda text: re.sub(r"\s+", " ", text.strip()) != text.strip()).sum())
        for name in ("사업장명", "사업장업종코드명")
    }
    gone = raw["고객법정동주소코드"].str[:5].isin(["41195", "41197", "41199"])  # 부천, abolished in 2016
    expected = {
        ("사업장명", "줄바꿈·겹친 빈칸 정리"): loose["사업장명"],
        ("사업장업종코드명", "줄바꿈·겹친 빈칸 정리"): loose["사업장업종코드명"],
        ("고객법정동주소코드", "이미 없어진 지역 코드를 그 뒤의 지역으로 읽음"): int(gone.sum()),
    }
    assert told == expected
    assert int(gone.sum()) == 5


def test_cells_against_a_plain_reading(table: Table, raw: pd.DataFrame) -> None:
    frame = table.frame
    np.testing.assert_array_equal(frame["members"], raw["가입자수"].astype(int))
    np.testing.assert_array_equal(frame["premium"], raw["당월고지금액"].astype(float))
    np.testing.assert_array_equal(frame["acquired"], raw["신규취득자수"].astype(int))
    np.testing.assert_array_equal(frame["lost"], raw["상실가입자수"].astype(int))
    assert (frame["joined"].dt.strftime("%Y-%m-%d") == raw["적용일자"].to_numpy()).all()
    back = frame["reregistered"].dt.strftime("%Y-%m-%d").fillna("")
    assert (back == raw["재등록일자"].to_numpy()).all()
    heads = {head: hash_identifier(f"head|{head}", KEY) for head in raw["사업자등록번호"].unique()}
    assert (frame["head_key"].to_numpy() == raw["사업자등록번호"].map(heads).to_numpy()).all()
    pair = raw["사업자등록번호"].str[3:5].to_numpy()
    assert (
        (frame["entity_kind"] == "corporation_head_office").to_numpy()
        == np.isin(pair, ["81", "86", "87", "88"])
    ).all()
    assert ((frame["entity_kind"] == "corporation_branch").to_numpy() == (pair == "85")).all()
    assert set(frame["region"]) <= set(municipalities(2018)["code"])
    assert frame["name_key"].notna().all()


def test_words_of_places_in_real_names(table: Table, raw: pd.DataFrame) -> None:
    """Names that end in 지점, 지사 or 공장 are told to be such; a 건축사사무소 is no branch."""
    names = raw["사업장명"].map(
        lambda text: re.sub(r"[\s()]+|\(주\)|㈜|주식회사", "", text.replace("(주)", ""))
    )
    kinds = table.frame["place_kind"].to_numpy()
    branch = names.str.contains(r"[가-힣]{2}(?:지점|지사)$").to_numpy()
    plant = names.str.contains(r"[가-힣]{2}공장$").to_numpy()
    assert branch.sum() > 100
    assert plant.sum() > 30
    assert (kinds[branch] == "branch").all()
    assert (kinds[plant] == "plant").all()
    by_number = table.frame["entity_kind"].map(
        {"corporation_branch": "branch", "corporation_head_office": "head_office"}
    )
    architects = names.str.contains("건축사사무소$").to_numpy()
    assert architects.sum() > 20
    assert (kinds[architects] == by_number.fillna("unknown").to_numpy()[architects]).all()
    # words of a place shorten few names of the sample: they are no part of what firms are usually called
    assert 0.005 < np.mean(kinds != by_number.fillna("unknown").to_numpy()) < 0.05


@pytest.mark.parametrize(("header", "encoding"), [(PENSION_COLUMNS, "cp949"), (ENGLISH_COLUMNS, "utf-8")])
def test_the_sample_under_other_headers(
    tmp_path: Path, table: Table, raw: pd.DataFrame, header: tuple[str, ...], encoding: str
) -> None:
    for name in ("재등록일자", "탈퇴일자"):
        raw = raw.assign(**{name: raw[name].replace("", "0001-01-01")})
    path = tmp_path / "국민연금_202204.csv"
    raw.set_axis(list(header), axis=1).to_csv(path, index=False, encoding=encoding, errors="replace")
    (other,) = national_pension.read(path, key=KEY)
    # the public sample itself has a few letters that CP949 does not have: their names are other names
    lost = (
        raw["사업장명"]
        .map(lambda text: text.encode(encoding, errors="replace").decode(encoding) != text)
        .to_numpy()
    )
    assert lost.sum() < 20
    columns = [c for c in table.frame.columns if c not in ("industry_name",)]
    assert_frame_equal(other.frame.loc[~lost, columns], table.frame.loc[~lost, columns])


def test_regions_without_the_code(tmp_path: Path, table: Table, raw: pd.DataFrame) -> None:
    """The parts of the code tell the same 시·군·구, and so do the addresses where they can be read."""
    path = tmp_path / "국민연금_202204.csv"
    raw.drop(columns="고객법정동주소코드").to_csv(path, index=False)
    (parts,) = national_pension.read(path, key=KEY)
    assert (parts.frame["region"] == table.frame["region"]).all()
    assert [r.count for r in parts.repairs if "이음" in r.kind] == [29_974]
    bare = raw.drop(columns=["고객법정동주소코드", "법정동주소광역시도코드", "법정동주소광역시시군구코드"])
    bare.to_csv(path, index=False)
    (addresses,) = national_pension.read(path, key=KEY)
    read = addresses.frame["region"].notna().to_numpy()
    agree = (addresses.frame["region"] == table.frame["region"]).to_numpy()
    assert read.mean() > 0.99
    assert agree[read].mean() > 0.995
