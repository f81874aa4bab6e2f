"""Each check of the data audit on a panel made by hand: the fault with its rows, and the same panel without it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from evalkit.errors import SchemaError
from evalkit.ingest.audit import SHOWN, TITLES, Finding, audit_frame
from evalkit.ingest.audit.finding import in_order
from evalkit.ingest.audit.periods import read_periods
from evalkit.ingest.audit.presence import _anova
from evalkit.ingest.audit.series import describe, middle, runs, spread_of
from evalkit.ingest.audit.words import RULES, SENTENCES

YEARS = range(2012, 2020)
UNITS = [f"R{i:02d}" for i in range(30)]
TODAY = dt.date(2026, 6, 1)


def panel(units=UNITS, years=YEARS) -> pd.DataFrame:
    """Sizes of 10,000 to 300,000, one per cent of growth, and a wobble of one per cent that no two units share; odd numbers."""
    rows = []
    for i, unit in enumerate(units):
        for t, year in enumerate(years):
            wobble = 0.01 * np.sin(1.7 * i + 2.3 * t + 0.9 * i * t)
            people = 2 * round(5_000 * (1 + 7 * i % 30) * np.exp(0.01 * t + wobble)) + (i + t) % 2
            men = int(0.4 * people) + (i + 2 * t) % 3
            rows.append((unit, year, people, men, people - men, "가나다"[i % 3]))
    frame = pd.DataFrame(rows, columns=["region_id", "year", "population", "men", "women", "sido"])
    return frame.assign(source_row=np.arange(len(frame)) + 2)


def audit(frame: pd.DataFrame, values=("population", "men", "women"), **options) -> tuple[Finding, ...]:
    return audit_frame(frame, "region_id", "year", values, today=TODAY, **options)


def only(findings: tuple[Finding, ...], check: str) -> Finding:
    """The single finding of a check."""
    found = [f for f in findings if f.check == check]
    assert len(found) == 1, [(f.check, f.sentence) for f in findings]
    return found[0]


def rows_of(frame: pd.DataFrame, mask) -> set[int]:
    return set(frame.loc[mask, "source_row"])


def shown(finding: Finding) -> set[int]:
    return {row.source_row for row in finding.rows}


def test_a_clean_panel_says_nothing():
    assert audit(panel(), groups=["sido"]) == ()


def test_the_order_of_rows_does_not_matter_and_the_frame_is_not_changed():
    frame = panel()
    frame.loc[frame["year"] == 2015, "men"] *= 1000
    kept = frame.copy()
    found = audit(frame)
    pd.testing.assert_frame_equal(frame, kept)
    again = audit(frame.sample(frac=1, random_state=1))
    assert {f.sentence for f in again} == {f.sentence for f in found}


# -- a whole period -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("year", [2012, 2015, 2019])
@pytest.mark.parametrize(
    ("factor", "words"), [(2, "2배"), (0.5, "1/2배"), (1000, "1,000배"), (1e-6, "1/1,000,000배")]
)
def test_one_period_at_a_multiple(year, factor, words):
    frame = panel().astype({"population": float})
    hit = frame["year"] == year
    frame.loc[hit, "population"] *= factor
    found = audit(frame)
    (finding,) = [f for f in found if f.severity == "fault"]
    assert finding.check == "scaled_period"
    assert f"population: {year}년 값이 통째로 {words}" in finding.sentence
    assert finding.total == 30
    assert shown(finding) <= rows_of(frame, hit)
    assert len(finding.rows) == SHOWN < finding.total
    assert all(row.expected == pytest.approx(row.value / factor, rel=1e-4) for row in finding.rows)
    assert "나눈다고" in finding.rule


def test_a_unit_of_measure_that_changes_for_good():
    frame = panel()
    frame.loc[frame["year"] >= 2016, "population"] *= 1000
    finding = only(audit(frame), "unit_change")
    assert finding.severity == "fault"
    assert "1,000배" in finding.sentence


def test_even_values_without_a_jump_are_no_fault():
    frame = panel()
    frame.loc[frame["year"] == 2015, "population"] //= 2
    frame.loc[frame["year"] == 2015, "population"] *= 2
    frame = frame.drop(columns=["men", "women"])
    finding = only(audit(frame, ["population"]), "all_even")
    assert finding.severity == "suspicion"
    assert "30개가 모두 짝수" in finding.sentence


def test_values_rounded_to_tens_are_not_taken_for_doubled():
    frame = panel().drop(columns=["men", "women"])
    frame.loc[frame["year"] == 2015, "population"] = frame["population"].round(-1)
    assert audit(frame, ["population"]) == ()


def test_a_common_shock_that_comes_back_is_no_break():
    frame = panel()
    frame.loc[frame["year"] == 2015, "population"] = (frame["population"] * 0.7).round()
    assert not [f for f in audit(frame, ["population"]) if f.check in ("break", "scaled_period")]


def test_a_step_of_all_units_that_stays_is_a_break():
    frame = panel()
    hit = frame["year"] >= 2016
    frame.loc[hit, "population"] = (frame["population"] * (1.4 + 0.01 * (frame.index % 5))).round()
    finding = only(audit(frame, ["population"]), "break")
    assert finding.severity == "suspicion"
    assert "2016년에 거의 모든 단위가 +4" in finding.sentence
    assert shown(finding) <= rows_of(frame, frame["year"] == 2016)


def test_a_declared_break_needs_few_periods_and_gives_its_reason():
    frame = panel(years=[2010, 2015, 2020])
    frame.loc[frame["year"] == 2020, "population"] = (frame["population"] * 1.5).round()
    assert not [f for f in audit(frame, ["population"]) if f.check == "break"]
    told = audit(frame, ["population"], breaks={"population": [(2018, "등록 기반 조사")]})
    finding = only(told, "break")
    assert finding.score == 1.0
    assert "등록 기반 조사" in finding.sentence
    assert "2020년에" in finding.sentence


def test_a_copied_period_and_a_copied_group():
    frame = panel()
    before = frame[frame["year"] == 2015].set_index("region_id")["population"]
    hit = frame["year"] == 2016
    frame.loc[hit, "population"] = frame.loc[hit, "region_id"].map(before)
    finding = only(audit(frame, ["population"]), "stale")
    assert (finding.severity, finding.total) == ("fault", 30)
    frame = panel()
    hit &= frame["sido"] == "나"
    frame.loc[hit, "population"] = frame.loc[hit, "region_id"].map(before)
    finding = only(audit(frame, ["population"], groups=["sido"]), "stale")
    assert "나의 단위 10개 값이 모두" in finding.sentence
    assert shown(finding) == rows_of(frame, hit)
    assert not audit(frame, ["population"])  # a third of equal values is too few without knowing the group


def test_values_that_never_change_are_not_copies():
    frame = panel()
    frame["area"] = frame["region_id"].str[1:].astype(int) * 100 + 57
    assert audit(frame, ["area"]) == ()


# -- rows in each other's place -------------------------------------------------------------------------------


def _exchange(frame, one, two, year, columns):
    a = frame.index[(frame["region_id"] == one) & (frame["year"] == year)][0]
    b = frame.index[(frame["region_id"] == two) & (frame["year"] == year)][0]
    frame.loc[[a, b], columns] = frame.loc[[b, a], columns].to_numpy()
    return {int(frame.loc[a, "source_row"]), int(frame.loc[b, "source_row"])}


@pytest.mark.parametrize("columns", [["population"], ["population", "men", "women"]])
def test_two_units_swapped_in_one_year(columns):
    frame = panel()
    rows = _exchange(frame, "R03", "R04", 2015, columns)
    found = audit(frame)
    finding = only(found, "swapped")
    assert finding.severity == "fault"
    assert "2015년 R03 값과 R04 값이 서로" in finding.sentence
    assert shown(finding) == rows
    want = {row.unit: row.expected for row in finding.rows if row.variable == "population"}
    clean = panel().query("year == 2015").set_index("region_id")["population"]
    assert want == pytest.approx({unit: clean[unit] for unit in ("R03", "R04")}, rel=0.05)
    assert not [f for f in found if f.check == "outlier"]


def test_a_swap_of_equals_cannot_be_seen():
    frame = panel()
    size = 1 + 7 * frame["region_id"].str[1:].astype(int) % 30
    frame["population"] = (30_000 * frame["population"] / (10_000 * size)).round()  # all units alike
    _exchange(frame, "R03", "R04", 2015, ["population"])
    assert not [f for f in audit(frame, ["population"]) if f.severity == "fault"]


def test_a_block_shifted_by_one_row():
    frame = panel()
    block = frame.index[(frame["year"] == 2016) & frame["region_id"].isin(UNITS[4:10])]
    frame.loc[block, "population"] = frame.loc[np.roll(block, 1), "population"].to_numpy()
    finding = only(audit(frame, ["population"]), "shifted")
    assert finding.severity == "fault"
    assert "2016년" in finding.sentence
    assert shown(finding) == set(frame.loc[block, "source_row"])


def test_a_block_shifted_upwards():
    frame = panel()
    block = frame.index[(frame["year"] == 2016) & frame["region_id"].isin(UNITS[4:10])]
    frame.loc[block, "population"] = frame.loc[np.roll(block, -1), "population"].to_numpy()
    assert shown(only(audit(frame, ["population"]), "shifted")) == set(frame.loc[block, "source_row"])


# -- rows too many or too few ---------------------------------------------------------------------------------


def test_rows_twice_with_equal_and_with_other_values():
    frame = panel()
    same = pd.concat([frame, frame.iloc[[7]]]).assign(source_row=lambda f: np.arange(len(f)) + 2)
    finding = only(audit(same), "duplicates")
    assert "똑같이 되풀이됨 (1쌍)" in finding.sentence
    assert shown(finding) == {9, 242}
    other = same.copy()
    other.iloc[-1, other.columns.get_loc("men")] += 5
    other.iloc[-1, other.columns.get_loc("women")] -= 5
    assert "값이 서로 다름 (1쌍)" in only(audit(other), "duplicates").sentence
    assert only(audit(same, repeats="hint"), "duplicates").severity == "hint"
    assert audit(same, once=False) == ()


def test_a_city_beside_its_districts_by_code():
    codes = ["41110", "41111", "41113", "41115", "41117", "41130", "41150", "41170", "41190", "41210"]
    frame = panel(units=codes)
    frame.loc[(frame["region_id"] == "41111") & (frame["year"] == 2012), "year"] = 2011
    finding = only(audit(frame), "counted_twice")
    assert finding.severity == "fault"
    assert "41110 (4)" in finding.sentence
    assert shown(finding) == rows_of(frame, frame["region_id"] == "41110")


def test_a_row_that_is_the_sum_of_the_next_rows():
    frame = panel()
    numbers = ["population", "men", "women"]
    wide = frame.set_index(["region_id", "year"])
    total = sum(wide.loc[unit, numbers] for unit in ("R11", "R12", "R13"))
    frame.loc[frame["region_id"] == "R10", numbers] = total[numbers].to_numpy()
    finding = only(audit(frame), "counted_twice")
    assert "R10 (3)" in finding.sentence
    assert shown(finding) == rows_of(frame, frame["region_id"] == "R10")


def test_a_total_row_counts_twice_in_sizes_and_is_a_hint_in_rates():
    total = (
        panel()
        .groupby("year", as_index=False)[["population", "men", "women"]]
        .sum()
        .assign(region_id="합계", sido="")
    )
    frame = pd.concat([panel(), total], ignore_index=True).assign(source_row=lambda f: np.arange(len(f)) + 2)
    found = audit(frame)
    assert only(found, "total_row").severity == "fault"
    assert shown(only(found, "total_row")) == rows_of(frame, frame["region_id"] == "합계")
    frame["rate"] = 40 + 10 * frame["men"] / frame["population"]
    assert only(audit(frame, ["rate"]), "total_row").severity == "hint"


def test_a_missing_period_a_gap_and_a_churn():
    frame = panel()
    finding = only(audit(frame[frame["year"] != 2015]), "missing_period")
    assert "빠진 기간이 있음: 2015" in finding.sentence
    frame.loc[frame["year"] == 2015, "men"] = np.nan
    assert (
        "men: 다른 열에는 있는 기간" in only(audit(frame, ["population", "men"]), "missing_period").sentence
    )
    frame = panel()
    gone = (frame["region_id"] == "R05") & (frame["year"] == 2015)
    finding = only(audit(frame[~gone]), "gap")
    assert (finding.total, finding.rows[0].unit, finding.rows[0].period) == (1, "R05", "2014")
    frame.loc[(frame["year"] >= 2016) & (frame["sido"] == "나"), "region_id"] += "b"
    finding = only([f for f in audit(frame) if f.check == "churn"], "churn")
    assert "2016년에 단위 구성이" in finding.sentence


def test_every_fifth_year_is_a_regular_series():
    assert audit(panel(years=[2000, 2005, 2010, 2015, 2020])) == ()


def test_missing_values_that_differ_between_groups():
    frame = panel().astype({"population": float})
    rng = np.random.default_rng(0)
    hit = (frame["sido"] == "나") & (rng.random(len(frame)) < 0.5)
    frame.loc[hit, "population"] = np.nan
    finding = only(audit(frame, ["population"], groups=["sido"]), "missing_by_group")
    assert "결측 비율이 sido에 따라 다름 (나" in finding.sentence
    assert finding.total == hit.sum()
    frame = panel().astype({"population": float})
    frame.loc[rng.random(len(frame)) < 0.3, "population"] = np.nan
    assert not [f for f in audit(frame, ["population"], groups=["sido"]) if f.check == "missing_by_group"]


def test_the_test_of_missing_values_is_the_analysis_of_variance():
    """Oracle: scipy.stats.f_oneway."""
    from scipy.stats import f_oneway

    rng = np.random.default_rng(1)
    share, codes = rng.random(40), np.repeat([0, 1, 2], [10, 10, 20])
    p, means = _anova(share, codes, 3)
    assert p == pytest.approx(f_oneway(*(share[codes == k] for k in range(3))).pvalue)
    assert means == pytest.approx([share[codes == k].mean() for k in range(3)])


def test_empty_periods_of_a_column_are_told_once():
    frame = panel().astype({"population": float})
    frame.loc[frame["year"].isin([2013, 2014]) & (frame["sido"] != "나"), "population"] = np.nan
    finding = only(audit(frame, ["population"]), "missing_by_period")
    assert finding.severity == "hint"
    assert "2013 67 %, 2014 67 %" in finding.sentence


# -- single cells ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "words"), [(10, "약 10배"), (1000, "약 1,000배"), (0.01, "약 1/100배"), (5, "크게 벗어났다가")]
)
def test_one_value_far_off(factor, words):
    frame = panel()
    frame.loc[100, "population"] = round(frame.loc[100, "population"] * factor)
    finding = only(audit(frame, ["population"]), "outlier")
    assert finding.severity == "suspicion"
    assert words in finding.sentence
    assert [row.source_row for row in finding.rows] == [102]
    assert finding.rows[0].expected == pytest.approx(panel().loc[100, "population"], rel=0.05)


def test_some_units_of_one_period_in_another_unit_of_measure():
    frame = panel()
    hit = (frame["year"] == 2016) & frame["region_id"].isin(UNITS[3:20:4])
    frame.loc[hit, "population"] *= 1000
    finding = only(audit(frame, ["population"]), "scaled_period")
    assert finding.severity == "fault"
    assert "일부 단위에서만 1,000배" in finding.sentence
    assert shown(finding) == rows_of(frame, hit)


def test_a_level_that_shifts_for_good_is_no_outlier():
    frame = panel()
    hit = (frame["region_id"] == "R07") & (frame["year"] >= 2016)
    frame.loc[hit, "population"] *= 4
    assert audit(frame, ["population"]) == ()


def test_a_total_that_is_not_its_parts():
    frame = panel()
    frame.loc[50, "population"] += 7
    finding = only(audit(frame), "sums")
    assert finding.severity == "fault"
    assert "population = men + women 관계가 1행" in finding.sentence
    (row,) = finding.rows
    assert (row.source_row, row.value - row.expected) == (52, 7)
    # declared where it holds too seldom to be found
    frame.loc[frame.index % 2 == 1, "population"] += 4
    assert not [f for f in audit(frame) if f.check == "sums"]
    assert only(audit(frame, sums={"population": ("men", "women")}), "sums").total == 121


def test_two_columns_that_are_nearly_the_same():
    frame = panel().assign(population_again=lambda f: f["population"])
    frame.loc[[4, 9], "population_again"] += 1000
    finding = only(audit(frame, ["population", "population_again"]), "twins")
    assert shown(finding) == {6, 11}


def test_values_that_cannot_be():
    frame = panel().astype({"population": float})
    frame["emp_rate"] = 60 + frame.index % 7
    frame.loc[3, "population"] *= -1
    frame.loc[8, "emp_rate"] = 640
    frame.loc[11, "population"] += 0.5
    frame["joined"] = pd.Timestamp("2010-05-01")
    frame.loc[5, "joined"] = pd.Timestamp("2210-05-01")
    frame["contract_end"] = pd.Timestamp("2030-05-01")
    found = audit(frame, ["population", "emp_rate"], dates=["joined", "contract_end"])
    assert shown(only(found, "negative")) == {5}
    assert only(found, "negative").severity == "fault"
    assert shown(only(found, "share_range")) == {10}
    assert "비율이 100을 넘는 값이 1개" in only(found, "share_range").sentence
    assert shown(only(found, "fractions")) == {13}
    assert shown(only(found, "future")) == {7}


def test_periods_to_come_and_dates_in_the_wrong_order():
    frame = panel(years=range(2022, 2029))
    finding = only(audit(frame), "future")
    assert "2027, 2028" in finding.sentence
    frame = panel().assign(joined=pd.Timestamp("2010-01-01"), left=pd.NaT)
    frame.loc[4, "left"] = pd.Timestamp("2009-01-01")
    assert shown(only(audit(frame, dates=["joined", "left"]), "date_order")) == {6}


def test_growth_and_balances_may_be_negative():
    frame = panel()
    frame["net_income"] = np.where(frame.index % 2, -1.0, 1.0) * frame["men"]
    frame["pop_growth"] = np.sin(frame.index * 1.0) * 3
    assert audit(frame, ["net_income", "pop_growth"]) == ()


def test_more_people_at_work_than_living():
    frame = panel().assign(employed=lambda f: f["men"])
    frame.loc[frame["region_id"] == "R01", "employed"] = 2 * frame["population"] + 1
    assert only(audit(frame, ["population", "employed"]), "exceeds").severity == "hint"
    frame = panel().assign(employed=lambda f: f["men"])
    frame.loc[60, "employed"] = 3 * frame.loc[60, "population"]
    found = [f for f in audit(frame, ["population", "employed"]) if f.check in ("exceeds", "outlier")]
    assert {row.source_row for f in found for row in f.rows} == {62}


# -- columns that are not what they say ---------------------------------------------------------------------


def test_an_index_that_is_a_rate():
    frame = panel()
    level = 100 * np.exp(0.02 * (frame["year"] - 2015) + 0.01 * np.sin(frame.index * 2.1))
    frame["cpi_2015"] = level.round(3)
    frame.loc[frame["year"] == 2015, "cpi_2015"] = 100.0
    assert audit(frame, ["cpi_2015"]) == ()
    frame["cpi_2015"] = (100 * frame.groupby("region_id")["cpi_2015"].pct_change()).round(2)
    finding = only(audit(frame, ["cpi_2015"]), "rate_as_index")
    assert finding.severity == "fault"


def test_an_index_of_another_base():
    frame = panel()
    frame["ppi_2015"] = 107 + 0.3 * (frame["year"] - 2012)
    frame["cpi_2017"] = 100 + 2.0 * (frame["year"] - 2017)
    found = [f for f in audit(frame, ["ppi_2015", "cpi_2017"]) if f.check == "index_base"]
    assert [f.severity for f in found] == ["suspicion", "hint"]
    assert "ppi_2015: 이름에 적힌 기준 시점 2015년" in found[0].sentence


def test_a_level_that_is_a_growth_rate_and_the_reverse():
    frame = panel()
    frame["population"] = (100 * frame.groupby("region_id")["population"].pct_change()).round(2)
    assert only(audit(frame, ["population"]), "rate_as_level").severity == "fault"
    frame = panel().rename(columns={"population": "population_growth"})
    assert only(audit(frame, ["population_growth"]), "level_as_rate").severity == "suspicion"


# -- names ----------------------------------------------------------------------------------------------------


def _named(codes=("26110", "26140", "26170", "26200", "26230", "26260")) -> pd.DataFrame:
    names = dict(zip(codes, ("중구", "서구", "동구", "영도구", "부산진구", "동래구"), strict=True))
    return panel(units=list(codes)).assign(name=lambda f: f["region_id"].map(names), sido="부산")


def test_names_that_contradict_codes():
    frame = _named()
    assert not audit(frame, names=["name", "sido"])
    frame.loc[frame["region_id"] == "26110", "name"] = "서구"
    frame.loc[frame["region_id"] == "26140", "name"] = "중구"
    finding = only(audit(frame, names=["name", "sido"]), "name_contradicts_code")
    assert (finding.severity, finding.total) == ("fault", 16)
    assert finding.rows[0].value == "서구"
    assert finding.rows[0].expected == "중구"
    frame = _named()
    frame.loc[frame["region_id"] == "26110", "sido"] = "대구"
    assert "시·도 이름이 코드와 다름" in only(audit(frame, names=["sido"]), "name_contradicts_code").sentence


def test_names_exchanged_without_a_register_and_names_that_change():
    frame = panel().assign(name=lambda f: "이름" + f["region_id"])
    hit = (frame["region_id"] == "R01") & (frame["year"] == 2014)
    frame.loc[hit, "name"] = "이름R02"
    finding = only(audit(frame, names=["name"]), "name_contradicts_code")
    assert shown(finding) == rows_of(frame, hit)
    frame = panel().assign(name=lambda f: "이름" + f["region_id"])
    frame.loc[(frame["region_id"] == "R01") & (frame["year"] > 2015), "name"] = "새이름"
    assert only(audit(frame, names=["name"]), "renamed").severity == "hint"


# -- digits: never more than a hint -----------------------------------------------------------------------------


def test_heaping_and_first_digits_are_hints():
    frame = panel()
    frame["men"] = np.where(frame.index % 2, frame["men"].round(-1), frame["men"])
    finding = only(audit(frame, ["men"]), "heaping")
    assert finding.severity == "hint"
    rng = np.random.default_rng(2)
    odd = pd.DataFrame({"region_id": [f"x{i}" for i in range(2000)], "year": 2020})
    odd["sales_won"] = rng.integers(7, 10, 2000) * 10.0 ** rng.integers(2, 8, 2000) + 1
    assert only(audit(odd, ["sales_won"]), "first_digit").severity == "hint"
    odd["sales_won"] = np.round(10 ** rng.uniform(2, 8, 2000))
    assert audit(odd, ["sales_won"]) == ()


# -- firms --------------------------------------------------------------------------------------------------


def test_values_and_names_of_firms_stay_inside():
    frame = panel().rename(columns={"region_id": "사업장명"})
    frame["사업장명"] = "한빛소재" + frame["사업장명"]
    frame.loc[100, "population"] *= 1000
    frame.loc[3, "men"] = -5
    found = audit_frame(frame, "사업장명", "year", ["population", "men"], today=TODAY)
    assert {f.check for f in found} >= {"outlier", "negative"}
    for finding in found:
        assert "한빛소재" not in finding.sentence
        for row in finding.rows:
            assert row.value is None
            assert row.expected is None
            assert "소재" not in row.unit
    hashed = frame.assign(사업장명=[f"{i:016x}" for i in range(len(frame))])
    (row, *_) = only(audit_frame(hashed, "사업장명", "year", ["men"], today=TODAY), "negative").rows
    assert row.unit == "000…"


# -- the parts ------------------------------------------------------------------------------------------------


def test_medians_leave_missing_values_out():
    """Oracle: numpy.nanmedian."""
    x = np.random.default_rng(3).normal(size=(20, 7))
    x[np.random.default_rng(4).random(x.shape) < 0.3] = np.nan
    assert middle(x) == pytest.approx(np.nanmedian(x, axis=0))
    assert middle(x, 1) == pytest.approx(np.nanmedian(x, axis=1))
    assert np.isnan(middle(np.full((3, 1), np.nan))[0])
    away = np.abs(x - np.nanmedian(x, axis=0))
    assert spread_of(x) == pytest.approx(1.4826 * np.nanmedian(away, axis=0))


def test_the_noise_of_a_series_is_that_of_its_changes():
    rng = np.random.default_rng(5)
    y = rng.normal(10, 1, (400, 1)) + np.cumsum(rng.normal(0.02, 0.05, (400, 15)), axis=1)
    series = describe(np.exp(y), "level")
    assert series is not None
    assert np.median(series.noise) == pytest.approx(0.05, rel=0.1)
    assert series.steps == pytest.approx(np.full(14, 0.02), abs=0.01)
    assert describe(np.exp(y[:, :1]), "level") is None
    assert describe(np.zeros((0, 4)), "level") is None


def test_runs_of_true():
    assert runs(np.array([True, True, False, True])) == [(0, 1), (3, 3)]
    assert runs(np.array([False, False])) == []


@pytest.mark.parametrize(
    ("written", "step", "labels"),
    [
        ([2015, 2016], "year", ["2015", "2016"]),
        (["2015년", "2016년도"], "year", ["2015", "2016"]),
        (["2015-12", "2016.01", "201602"], "month", ["2015-12", "2016-01", "2016-02"]),
        (["2015 1/4", "2015Q2", "2015년 3분기"], "quarter", ["2015-Q1", "2015-Q2", "2015-Q3"]),
        (pd.to_datetime(["2015-12-31", "2016-12-31"]), "year", ["2015", "2016"]),
        (pd.to_datetime(["2015-12-01", "2016-01-01"]), "month", ["2015-12", "2016-01"]),
    ],
)
def test_periods_are_read(written, step, labels):
    found = read_periods(pd.Series(written))
    assert found is not None
    assert found.step == step
    assert [found.label(t) for t in range(len(found.ordinals))] == labels


def test_what_is_no_period():
    assert read_periods(pd.Series(["가", "나"])) is None
    assert read_periods(pd.Series([], dtype=object)) is None


def test_an_unknown_column_is_named():
    with pytest.raises(SchemaError, match=r"열 'popluation' 이\(가\) 표에 없음. → 비슷한 이름: population"):
        audit_frame(panel(), "region_id", "year", ["popluation"])


def test_findings_come_in_the_order_of_their_weight():
    make = lambda severity, score: Finding("gap", severity, "", (), 0, "", score)  # noqa: E731
    found = in_order([make("hint", 1.0), make("fault", 0.5), make("suspicion", 0.9), make("fault", 0.9)])
    assert [(f.severity, f.score) for f in found] == [
        ("fault", 0.9),
        ("fault", 0.5),
        ("suspicion", 0.9),
        ("hint", 1.0),
    ]
    assert [f.severity_words for f in found] == ["오류", "오류", "의심", "참고"]


def test_every_check_and_sentence_has_its_words():
    from evalkit.present.messages import template

    for family, table in (("title", TITLES), ("found", SENTENCES), ("rule", RULES)):
        for key, words in table.items():
            assert template(f"phrase.audit.{family}.{key}", "ko") == words
            assert template(f"phrase.audit.{family}.{key}", "en")
