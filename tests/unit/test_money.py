"""Real terms: by hand, chained, averaged; and what is no index is refused."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.errors import DataError, RefusalError, SchemaError, ValueProblem
from evalkit.ingest.money import (
    PriceIndex,
    annual_index,
    base_year_of,
    chain,
    deflate,
    deflate_by,
    read_price_index,
)

CPI = PriceIndex("CPI", {2019: 99.466, 2020: 100.0, 2021: 102.498, 2022: 107.715}, 2020)


def test_deflating_by_hand():
    assert deflate([102.498, 50.0], [2021, 2020], CPI, 2020).tolist() == pytest.approx([100.0, 50.0])
    assert deflate(100.0, 2020, CPI, 2022).item() == pytest.approx(107.715)
    table = deflate([[1.0, np.nan], [2.0, 3.0]], [2021, 2022], CPI, 2021)
    assert table[0, 0] == 1.0
    assert np.isnan(table[0, 1])
    assert table[1, 1] == pytest.approx(3 * 102.498 / 107.715)


def test_years_without_an_index_are_refused():
    with pytest.raises(DataError, match=r"CPI 에 2018년 값이 없음 \(있는 해: 2019–2022\)"):
        deflate([1.0], [2018], CPI, 2020)
    with pytest.raises(DataError, match="2030년"):
        deflate([1.0], [2020], CPI, 2030)
    assert np.isnan(deflate([np.nan], [1900], CPI, 2020)).all()  # nothing to deflate, nothing missing


@pytest.mark.parametrize(
    ("level", "base", "words"),
    [
        ({2018: 1.5, 2019: 0.4, 2020: 0.5}, 2020, "뛰어 증감률"),
        ({2018: 1.5, 2019: -0.4, 2020: 0.5}, 2020, "2019년 값 -0.4 .*증감률"),
        ({2018: 1.5, 2019: 0.0}, 2020, "0 이하"),
        ({2018: 60.7, 2019: 60.96, 2020: 60.1}, 2020, "2020=100 인 지수가 아님: 2020년 값이 60.1"),
        ({2018: 101.5, 2019: 100.4, 2020: 100.5}, 2020, "2020년 값이 100.5"),  # 전년=100
        ({2018: 1.5, 2019: 1.4}, 2020, "가장 큰 값이 1.5"),
        ({2018: 98.0, 2019: float("inf")}, 2020, "수가 아님"),
    ],
)
def test_what_is_no_index(level, base, words):
    with pytest.raises(RefusalError, match=words):
        PriceIndex("무엇", level, base)


def test_an_index_needs_values():
    with pytest.raises(DataError, match="하나도 없음"):
        PriceIndex("무엇", {2020: float("nan")}, 2020)


def test_the_base_year_is_found_or_asked():
    assert base_year_of("x", {2019: 99.0, 2020: 100.0}) == 2020
    with pytest.raises(RefusalError, match="100인 해가 없음"):
        base_year_of("x", {2019: 60.0})
    with pytest.raises(RefusalError, match=r"100인 해가 여럿임 \(2019, 2020\)"):
        base_year_of("x", {2019: 100.0, 2020: 100.0})
    assert CPI.rebased(2019).level[2019] == 100.0
    assert CPI.rebased(2019).level[2020] == pytest.approx(100 / 0.99466)


@pytest.mark.parametrize("form", ["{y}-{m:02d}", "{y}{m:02d}", "{y}.{m}", "{y}년 {m}월", "{y}/{m}"])
def test_means_of_months(form):
    periods = [form.format(y=y, m=m) for y in (2020, 2021) for m in range(1, 13)]
    values = [100 + (m - 6.5) / 10 for m in range(1, 13)] + [102 + (m - 6.5) / 10 for m in range(1, 13)]
    made = annual_index("CPI", periods, values)
    assert dict(made.level) == pytest.approx({2020: 100.0, 2021: 102.0})
    assert made.base_year == 2020
    with pytest.raises(DataError, match="2021년에 12월 값이 없음"):
        annual_index("CPI", periods[:-1], values[:-1])
    with pytest.raises(DataError, match="2020년에 1월 값"):
        annual_index("CPI", periods, [np.nan, *values[1:]])


@pytest.mark.parametrize("form", ["{y}Q{q}", "{y} {q}/4", "{y}년 {q}분기"])
def test_means_of_quarters(form):
    periods = [form.format(y=2020, q=q) for q in range(1, 5)]
    assert dict(annual_index("GDP", periods, [99.0, 100.0, 100.5, 100.5]).level) == {2020: 100.0}


@pytest.mark.parametrize(
    ("periods", "kind", "words"),
    [
        (["2020-13"], ValueProblem, "'2020-13'"),
        (["이천이십"], ValueProblem, "읽을 수 없음"),
        (["2020-01", "202001"], ValueProblem, "두 번"),
        (["2020-01", "2020Q2"], DataError, "섞여"),
    ],
)
def test_periods_that_cannot_be_read(periods, kind, words):
    with pytest.raises(kind, match=words):
        annual_index("CPI", periods, [100.0] * len(periods))


def test_chaining_two_bases():
    """PPI 2015=100 to 2021 and 2020=100 from 2019: growth before 2019 from the old one."""
    old = PriceIndex("PPI 2015", {2015: 100.0, 2018: 103.478, 2019: 103.5, 2020: 103.03, 2021: 109.6}, 2015)
    new = PriceIndex(
        "PPI 2020",
        {y: v / 103.03 * 100 for y, v in ((2019, 103.5), (2020, 103.03), (2021, 109.6), (2022, 118.8))},
        2020,
    )
    made = chain(old, new)
    assert made.base_year == 2020
    assert made.level[2022] == new.level[2022]
    assert made.level[2018] / made.level[2019] == pytest.approx(103.478 / 103.5)
    assert "2019년에서" in made.notes[-1]
    assert chain(old, new, link_year=2021).level[2015] == pytest.approx(100 / 1.0303)
    with pytest.raises(DataError, match="공통된 해"):
        chain(PriceIndex("a", {2015: 100.0}, 2015), new)
    with pytest.raises(DataError, match="해 2018"):
        chain(old, new, link_year=2018)
    other = PriceIndex("CPI", {2019: 99.0, 2020: 100.0, 2021: 130.0}, 2020)
    with pytest.raises(RefusalError, match=r"2019–2021년의 움직임이"):
        chain(old, other)


def test_each_group_by_its_own_index():
    indices = {"부산": CPI, "대구": PriceIndex("대구", {2020: 100.0, 2021: 110.0}, 2020)}
    got = deflate_by([102.498, 110.0], [2021, 2021], ["부산", "대구"], indices, 2020)
    assert got.tolist() == pytest.approx([100.0, 100.0])
    with pytest.raises(DataError, match="'광주' 의 물가지수"):
        deflate_by([1.0], [2020], ["광주"], indices, 2020)


def test_reading_an_index(tmp_path):
    path = tmp_path / "cpi.csv"
    path.write_text(
        "year,cpi,rate\n2019,99.466,0.4\n2020,100,0.5\n2021,102.498,2.5\n2022,,5.1\n", encoding="utf-8"
    )
    made = read_price_index(path, "cpi")
    assert (made.name, made.base_year, list(made.level)) == ("cpi", 2020, [2019, 2020, 2021])
    with pytest.raises(RefusalError, match="rate 의 기준연도를 알 수 없음: 100인 해가 없음"):
        read_price_index(path, "rate")
    with pytest.raises(RefusalError, match=r"rate 은.*물가지수가 아님"):
        read_price_index(path, "rate", base_year=2020)
    with pytest.raises(SchemaError, match="'ppi' 이"):
        read_price_index(path, "ppi")
    path.write_text("year,v\n이천,100\n", encoding="utf-8")
    with pytest.raises(ValueProblem, match=r"2행.*'이천'"):
        read_price_index(path, "v")
    path.write_text("sido,year,v\n서울,2020,100\n부산,2020,100\n부산,2021,101\n", encoding="utf-8")
    assert dict(read_price_index(path, "v", group=("sido", "부산")).level) == {2020: 100.0, 2021: 101.0}
    with pytest.raises(ValueProblem, match="2020년이 두 번"):
        read_price_index(path, "v")
    with pytest.raises(SchemaError, match="'부선'"):
        read_price_index(path, "v", group=("sido", "부선"))


@pytest.mark.parametrize(
    ("years", "words"),
    [
        ([2020, np.nan], r"\[2번째 값\] 연도가 빔"),
        ([2020, None], r"\[2번째 값\] 연도가 빔"),
        ([2018.9, 2020], r"\[1번째 값\] 연도 '2018.9' 이.*정수가 아님"),
        (["2020", "2020-01"], r"\[2번째 값\] 연도 '2020-01'"),
        ([2020, np.inf], "연도 'inf'"),
    ],
)
def test_what_is_no_year(years, words):
    with pytest.raises(ValueProblem, match=words):
        deflate([1.0, 2.0], years, CPI, 2020)
    with pytest.raises(ValueProblem, match=words):
        deflate_by([1.0, 2.0], years, ["서울", "부산"], {"서울": CPI, "부산": CPI}, 2020)
    with pytest.raises(ValueProblem, match=r"\[3번째 값\] 연도가 빔"):  # counted with what has no value
        deflate([np.nan, 1.0, 2.0], [None, 2020, None], CPI, 2020)


def test_years_of_any_type():
    for years in ([2021, 2021], [2021.0, 2021.0], ["2021", "2021.0"]):
        assert deflate([102.498] * 2, years, CPI, 2020).tolist() == pytest.approx([100.0] * 2)
    assert np.isnan(deflate([np.nan], [np.nan], CPI, 2020)).all()  # nothing to deflate, no year needed


def test_the_edges_of_what_is_an_index():
    """Doubling is the most; over two years, the most is fourfold; a low index is one from 30 on."""
    PriceIndex("두 배", {2019: 50.0, 2020: 100.0}, 2020)
    PriceIndex("절반", {2019: 200.0, 2020: 100.0}, 2020)
    PriceIndex("두 해", {2018: 25.0, 2020: 100.0}, 2020)
    for level in ({2019: 49.9, 2020: 100.0}, {2019: 200.2, 2020: 100.0}, {2018: 24.9, 2020: 100.0}):
        with pytest.raises(RefusalError, match="뛰어"):
            PriceIndex("무엇", level, 2020)
    PriceIndex("낮음", {2000: 30.0, 2001: 29.0}, 2020)
    with pytest.raises(RefusalError, match=r"가장 큰 값이 29\.9"):
        PriceIndex("낮음", {2000: 29.9, 2001: 29.0}, 2020)


def test_the_edge_of_what_may_be_chained():
    old = PriceIndex("옛", {2019: 100.0, 2020: 100.0}, 2019)
    assert chain(old, PriceIndex("새", {2019: 100.0, 2020: 101.99}, 2019)).at([2020]).item() == 101.99
    with pytest.raises(RefusalError, match=r"2\.0% 어긋나"):
        chain(old, PriceIndex("새", {2019: 100.0, 2020: 102.01}, 2019))
