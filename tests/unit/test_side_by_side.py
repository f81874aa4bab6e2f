"""Regression tables, balance of groups, stacked tables: every number is where it belongs, the layout never moves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from evalkit import Design, Panel
from evalkit.checks.group_balance import GroupBalance, group_balance
from evalkit.errors import UsageError
from evalkit.estimate import Estimate
from evalkit.estimators.panel_regression import panel_regression
from evalkit.present.group_tables import group_balance_table
from evalkit.present.regression_tables import regression_table
from evalkit.present.stacking import stacked
from evalkit.present.tabulation import Column, Tabulation, Total
from evalkit.present.writers.grids import flatten
from evalkit.present.writers.html import html_table
from evalkit.release import Release


def estimate(seed: int, *regressors: str) -> Estimate:
    rng = np.random.default_rng(seed)
    names = ("support", "size")
    varying = {name: rng.normal(size=(40, 5)) for name in names}
    varying["y"] = 2 * varying["support"] + rng.normal(size=(40, 5))
    panel = Panel(np.arange(40), np.arange(5), varying)
    return panel_regression(panel, Design("y"), regressors=regressors or names)


@pytest.fixture(scope="module")
def pair() -> dict[str, Estimate]:
    return {"(1)": estimate(1, "support"), "(2)": estimate(1)}


def column(table: Tabulation, at: int) -> dict[str, str]:
    return {table.text(r, 0): table.text(r, at) for r in range(len(table.rows))}


def test_estimates_stand_side_by_side(pair: dict[str, Estimate]) -> None:
    table = regression_table(pair, below=("interval", "std_error", "p_value"), digits=3)
    heads = [table.text(r, 0) for r in range(len(table.rows))]
    assert heads[:8] == [
        "support", "95% 신뢰구간", "표준오차", "p값", "size", "95% 신뢰구간", "표준오차", "p값",
    ]  # fmt: skip
    for at, label in enumerate(pair, start=1):
        frame = pair[label].table()
        row = frame.iloc[0]
        shown = [table.value(r, at) for r in range(4)]
        assert shown == [
            row["estimate"],
            (row["conf_low"], row["conf_high"]),
            row["std_error"],
            row["p_value"],
        ]
    # the first column has no such term: said with a dash, the layout stays
    assert [table.text(r, 1) for r in range(4, 8)] == ["–"] * 4
    assert heads[8:] == ["처치 단위", "비교 단위", "군집 수", "추론 방법"]
    assert table.value(10, 2) == 40


def test_terms_are_chosen_ordered_and_renamed(pair: dict[str, Estimate]) -> None:
    table = regression_table(pair, terms={"size": "규모", "support": "지원"}, below=(), footer=())
    assert [table.text(r, 0) for r in range(2)] == ["규모", "지원"]
    with pytest.raises(UsageError, match="supprt"):
        regression_table(pair, terms=["supprt"])


def test_panels_and_groups_and_further_lines(pair: dict[str, Estimate]) -> None:
    table = regression_table(
        {"고용": pair, "매출": pair},
        terms=["support"],
        below=("p_value",),
        footer=("clusters",),
        extra={"고정효과": {"(1)": "예"}},
        groups={"(1)": "기업", "(2)": "기업"},
    )
    assert [(role, table.text(r, 0)) for r, role in enumerate(table.roles)] == [
        ("heading", "고용"), ("body", "support"), ("body", "p값"), ("body", "고정효과"), ("body", "군집 수"),
        ("heading", "매출"), ("body", "support"), ("body", "p값"), ("body", "고정효과"), ("body", "군집 수"),
    ]  # fmt: skip
    assert (table.text(3, 1), table.text(3, 2)) == ("예", "–")
    assert 'colspan="2">기업</th>' in html_table(table)
    with pytest.raises(UsageError, match="패널 '매출'"):
        regression_table({"고용": pair, "매출": {"(1)": pair["(1)"]}})
    with pytest.raises(UsageError, match="열 '\\(3\\)'"):
        regression_table(pair, groups={"(3)": "기업"})


def test_further_lines_hold_numbers_and_say_what_a_column_has(pair: dict[str, Estimate]) -> None:
    table = regression_table(
        pair,
        terms=["support"],
        below=(),
        footer=("n_units", "clusters"),
        extra={
            "종속변수 평균": {"(1)": 12.345, "(2)": 6.0},
            "관측 수": {"(1)": 12345},
            "기업 고정효과": {"(1)": True, "(2)": False},
        },
        digits=2,
    )
    shown = [[table.text(r, c) for c in range(3)] for r in range(1, 6)]
    assert shown == [
        ["종속변수 평균", "12.35", "6.00"],
        ["관측 수", "12,345", "–"],
        ["기업 고정효과", "있음", "없음"],
        ["단위 수", "40", "40"],
        ["군집 수", "40", "40"],
    ]
    assert table.value(1, 1) == 12.345  # a number in every format, not its text


def test_terms_are_left_out_by_pattern_and_stand_under_headings(pair: dict[str, Estimate]) -> None:
    table = regression_table(pair, headings={"support": "처치", "size": "통제"}, below=(), footer=())
    assert [(role, table.text(r, 0)) for r, role in enumerate(table.roles)] == [
        ("heading", "처치"), ("body", "support"), ("heading", "통제"), ("body", "size"),
    ]  # fmt: skip
    kept = regression_table(pair, drop=("si*",), below=(), footer=())
    assert [kept.text(r, 0) for r in range(len(kept.rows))] == ["support"]
    with pytest.raises(UsageError, match=r"'year\*'"):
        regression_table(pair, drop=("year*",))
    with pytest.raises(UsageError, match="'sise'"):
        regression_table(pair, headings={"sise": "통제"})


def test_decimals_are_those_asked_for_of_all_or_of_a_row(pair: dict[str, Estimate]) -> None:
    value = pair["(1)"].table()["estimate"].iloc[0]
    assert regression_table(pair, digits=4).text(0, 1) == f"{value:.4f}"
    table = regression_table(pair, digits={"size": 5}, below=("std_error",), brackets=True)
    size = pair["(2)"].table().iloc[1]
    assert table.text(2, 2) == f"{size['estimate']:.5f}".replace("-", "−")
    assert table.text(3, 2) == f"({size['std_error']:.5f})"
    assert len(table.text(0, 1)) < len(f"{value:.5f}")
    with pytest.raises(UsageError, match="'sise'"):
        regression_table(pair, digits={"sise": 5})


def test_what_stands_in_brackets_is_a_number_in_excel_and_csv(pair: dict[str, Estimate]) -> None:
    table = regression_table(
        pair, terms=["support"], below=("std_error",), brackets=True, digits=2, footer=()
    )
    error = pair["(1)"].table()["std_error"].iloc[0]
    grid = flatten(table)
    assert grid.rows[1][1] == error
    assert grid.row_formats[1, 1] == '"("#,##0.00")"'
    assert Tabulation.from_json(table.to_json()) == table


def test_marks_only_where_asked_and_then_explained(pair: dict[str, Estimate]) -> None:
    assert regression_table(pair).marks == {}
    table = regression_table(pair, stars={"*": 0.05, "***": 0.001})
    assert table.marks[(0, 1)] == "***"
    assert table.text(0, 1).endswith("***")
    assert "*** p < 0.001, * p < 0.05" in table.notes[-1]


def test_thin_columns_are_withheld() -> None:
    """The number of treated firms decides, line by line."""
    thin = estimate(2, "support")
    object.__setattr__(thin, "n_treated", np.array([2]))
    released = Release().table(regression_table({"(1)": thin}, footer=("clusters",)))
    assert released.html.count(">*<") == 3  # estimate, interval and p-value
    assert released.payload["disclosure"][0]["rule"] == "threshold"
    with_sizes = Release().table(
        regression_table({"(1)": thin}, footer=("n_treated", "n_comparison", "clusters"))
    )
    assert with_sizes.html.count(">*<") == 4  # and the number of treated firms itself
    assert ">2<" not in with_sizes.html


@pytest.fixture(scope="module")
def groups() -> GroupBalance:
    rng = np.random.default_rng(3)
    group = rng.choice(["비교", "1단계", "3단계"], 300)
    jobs = rng.normal(30, 8, 300) + 6 * (group == "3단계")
    sales = rng.lognormal(3, 1, 300)
    return group_balance(
        {"jobs": jobs, "sales": sales}, group, reference="비교", order=["비교", "1단계", "3단계"]
    )


def test_means_differences_and_p_values_stand_together(groups: GroupBalance) -> None:
    table = group_balance_table(
        groups, labels={"jobs": "고용"}, layout="wide", digits={"jobs": 2}, equality=True
    )
    keys = [c.key for c in table.columns]
    assert keys == [
        "variable", "mean_비교", "n_비교", "mean_1단계", "n_1단계", "mean_3단계", "n_3단계",
        "difference_1단계", "p_value_1단계", "normalised_1단계",
        "difference_3단계", "p_value_3단계", "normalised_3단계", "equality",
    ]  # fmt: skip
    assert table.columns[7].group == "1단계 − 비교"
    summary, differences = groups.summary, groups.differences
    assert table.value(0, 1) == summary.loc[("jobs", "비교"), "mean"]
    assert table.value(0, 6) == summary.loc[("jobs", "3단계"), "n"]
    assert table.value(0, 10) == differences.loc[("jobs", "3단계"), "difference"]
    assert table.value(0, 11) == differences.loc[("jobs", "3단계"), "p_value"]
    assert table.marks[(0, 12)] == "†"
    assert table.value(0, 13) == groups.equality.loc["jobs", "p_value"]
    joint = column(table, keys.index("p_value_3단계"))
    assert joint["F 검정의 단위 수"] == str(int(groups.joint.loc["3단계", "n"]))


def test_several_rows_a_variable_and_panels(groups: GroupBalance) -> None:
    table = group_balance_table(groups, panels={"규모": ["jobs"], "성과": ["sales"]}, digits={"jobs": 1})
    assert [table.text(r, 0) for r in range(6)] == [
        "규모",
        "jobs",
        "(표준편차)",
        "성과",
        "sales",
        "(표준편차)",
    ]
    assert table.text(2, 1) == f"({groups.summary.loc[('jobs', '비교'), 'sd']:.1f})"
    errors = group_balance_table(groups, spread="std_error", digits={"jobs": 2})
    assert errors.text(1, 7) == f"({groups.differences.loc[('jobs', '1단계'), 'std_error']:.2f})"
    with pytest.raises(UsageError, match="'job'"):
        group_balance_table(groups, panels={"규모": ["job"]})


@pytest.mark.parametrize("layout", ["wide", "tall"])
def test_the_layout_does_not_follow_the_values(layout: str) -> None:
    """Missing, constant and equal values leave the same columns, rows and roles."""

    def table(make: Callable[[np.random.Generator], np.ndarray]) -> Tabulation:
        rng = np.random.default_rng(1)
        values = make(rng)
        found = group_balance({"x": values, "z": rng.normal(size=30)}, ["a", "b"] * 15, reference="a")
        return group_balance_table(found, layout=layout)  # type: ignore[arg-type]

    shapes = {
        (tuple(c.key for c in t.columns), t.roles, t.shape)
        for t in (
            table(lambda rng: rng.normal(size=30)),
            table(lambda rng: np.zeros(30)),
            table(lambda rng: np.where(np.arange(30) % 2, np.nan, 1.0)),
        )
    }
    assert len(shapes) == 1


def test_tables_of_the_same_columns_are_stacked() -> None:
    def small(name: str, note: str) -> Tabulation:
        return Tabulation(
            name, name, (Column("a", "가"), Column("b", "나", "integer")), (("x", 1), ("y", 2), ("합", 3)),
            notes=("같은 주", note), counts=((None, 5), (None, 6), (None, 11)), marks={(1, 1): "†"},
            totals=(Total("row", 2, (0, 1)),), roles=("body", "body", "total"),
        )  # fmt: skip

    table = stacked({"1단계": small("one", "가"), "3단계": small("two", "나")}, name="both", title="두 단계")
    assert table.roles == ("heading", "body", "body", "total") * 2
    assert table.marks == {(2, 1): "†", (6, 1): "†"}
    assert table.totals == (Total("row", 3, (1, 2)), Total("row", 7, (5, 6)))
    assert table.notes == ("같은 주", "가", "나")
    assert [table.firms(r, 1) for r in range(8)] == [None, 5, 6, 11, None, 5, 6, 11]
    with pytest.raises(UsageError, match="열이"):
        stacked(
            {"a": small("one", ""), "b": Tabulation("t", "", (Column("a", "가"),), ())}, name="n", title=""
        )
