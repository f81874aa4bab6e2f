"""What programme files hold twice: found with its rows, counted by every rule, by hand."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from evalkit.errors import PlanError, ValueProblem
from evalkit.ingest.counting import (
    CHOICES,
    INDICATORS,
    KINDS,
    QUESTIONS,
    CountingRules,
    Reported,
    counting_facts,
    find_double_counting,
    in_korean,
    known_choices,
    totals_by_rule,
)
from evalkit.ingest.counting.findings import COLUMNS
from evalkit.ingest.sources.performance_survey import (
    ATTRACTED,
    FIRM_YEARS,
    OUTCOMES,
    PROJECTS,
    deduplicate_firm_totals,
)
from evalkit.ingest.table import Table, TableSpec
from evalkit.study.plan_counting import CountingPlan
from evalkit.study.programme_files import reported_totals

A, B, C, D = ("a" * 16, "b" * 16, "c" * 16, "d" * 16)
NAMES = {A: "한빛소재", B: "나래테크", C: "다온기계", D: "라온식품"}


def table(spec: TableSpec, rows: list[dict[str, Any]], file: str = "성과조사_1단계.xlsx") -> Table:
    frame = pd.DataFrame(rows)
    if len(frame) and "firm_name" not in frame:
        frame["firm_name"] = frame["firm_id"].map(NAMES).fillna("이름 없는 기업")
    frame["source_row"] = np.arange(5, 5 + len(frame))
    return Table(spec, frame, Path(file), "0" * 64, spec.sheets[0])


def result(firm: str, project: str, phase: int = 1, **values: Any) -> dict[str, Any]:
    return {"phase": phase, "project_id": project, "firm_id": firm, **values}


def role(firm: str, project: str, what: str, phase: int = 1) -> dict[str, Any]:
    return {"phase": phase, "project_id": project, "firm_id": firm, "role": what}


def arrival(firm: str | None, kind: str, when: str, to: str = "42130", origin: str | None = "11110", **more: Any) -> dict[str, Any]:  # fmt: skip
    return {"phase": 1, "firm_id": firm, "kind": kind, "from_region": origin, "to_region": to, "date": pd.Timestamp(when), **more}  # fmt: skip


def totals(tables: list[Table], indicator: str = "new_jobs", **rules: str) -> dict[int, float]:
    rows = totals_by_rule(tables, CountingRules(**rules))  # type: ignore[arg-type]
    return {r["phase"]: r["total"] for r in rows if r["indicator"] == indicator and r["question"] == "chosen"}


def cases(tables: list[Table], kind: str) -> list[list[tuple[str, int, float]]]:
    """Rows of each case: masked firm, row, value."""
    found = find_double_counting(tables)
    found = found[found["kind"] == kind]
    return [
        list(zip(part["firm"], part["row"], part["value"].fillna(-1), strict=True))
        for _, part in found.groupby(["column", "case"])
    ]


# -- one firm in several projects --------------------------------------------------------------------

REPEATED = [
    result(A, "P1", new_jobs=3),
    result(A, "P2", new_jobs=3),
    result(B, "P1", new_jobs=2),
    result(B, "P3", new_jobs=5),
    result(B, "P4", new_jobs=5),
    result(C, "P5", new_jobs=4),
    result(C, "P6", new_jobs=np.nan),
    result(D, "P7", new_jobs=0),
    result(D, "P8", new_jobs=0),
]


@pytest.mark.parametrize(
    ("rule", "expected"), [("largest", 3 + 5 + 4), ("missing", 3 + 4), ("once", 3 + 7 + 4)]
)
def test_firm_totals_in_several_projects(rule: str, expected: float) -> None:
    assert totals([table(OUTCOMES, REPEATED)], repeated_totals=rule) == {1: expected}


def test_rows_of_repeated_totals() -> None:
    tables = [table(OUTCOMES, REPEATED)]
    assert cases(tables, "repeated_same") == [[(A[:6], 5, 3), (A[:6], 6, 3)]]
    assert cases(tables, "repeated_differ") == [[(B[:6], 7, 2), (B[:6], 8, 5), (B[:6], 9, 5)]]


def test_stopping_where_a_firm_differs() -> None:
    with pytest.raises(
        ValueProblem, match=r"성과조사_1단계.xlsx > 시트 성과 > 8행.*7행 2, 8행 5.*missing, once"
    ):
        Reported.of([table(OUTCOMES, REPEATED)]).by_firm(
            INDICATORS[0], CountingRules(repeated_totals="error")
        )
    with pytest.raises(ValueProblem, match="과제 행마다 다름"):
        reported_totals([table(OUTCOMES, REPEATED)], rules=CountingRules(repeated_totals="error"))
    rows = totals_by_rule([table(OUTCOMES, REPEATED)], CountingRules(repeated_totals="error"))
    chosen = next(r for r in rows if r["question"] == "chosen")
    assert (chosen["total"], chosen["firms"], chosen["changed"]) == (None, None, None)
    assert "과제 행마다 다름" in chosen["problem"]
    assert "2," not in chosen["problem"]  # no firm's own value
    other = next(r for r in rows if r["choice"] == "largest")
    assert (other["total"], other["changed"], other["problem"]) == (12, None, "")


@pytest.mark.parametrize("rule", ["largest", "missing", "once"])
def test_the_table_without_repeats_says_the_same(rule: Any) -> None:
    one = table(OUTCOMES, REPEATED)
    once = deduplicate_firm_totals(one, conflict=rule)
    assert np.nansum(once.frame["new_jobs"]) == totals([one], repeated_totals=rule)[1]
    assert sum(r.count for r in once.repairs if "서로 다른 값의 합" in r.after) == (rule == "once")


def test_years_are_counted_each() -> None:
    rows = [
        result(A, p, year=y, new_jobs=j) for p, y, j in (("P1", 2019, 1), ("P2", 2019, 1), ("P1", 2020, 4))
    ]
    assert totals([table(OUTCOMES, rows)]) == {1: 5}


def test_a_firm_in_two_files_of_a_phase_counts_once() -> None:
    one = table(OUTCOMES, [result(A, "P1", new_jobs=3)], "부산.xlsx")
    other = table(OUTCOMES, [result(A, "P2", new_jobs=3)], "대구.xlsx")
    assert totals([one, other]) == {1: 3}
    found = find_double_counting([one, other])
    assert found["file"].tolist() == ["부산.xlsx", "대구.xlsx"]
    (row,) = (r for r in reported_totals([one, other])[0] if r["indicator"] == "new_jobs")
    assert (row["raw"], row["deduplicated"], row["firms"]) == (6, 3, 1)


def test_a_workbook_of_all_phases() -> None:
    rows = [result(A, "P1", 1, new_jobs=3), result(B, "Q1", 3, new_jobs=5)]
    found = {r["phase"]: r["deduplicated"] for r in reported_totals([table(OUTCOMES, rows)])[0]}
    assert found == {1: 3, 3: 5}


# -- partners ----------------------------------------------------------------------------------------


def consortium() -> list[Table]:
    """P1: A leads, B and C write the same sales; P2: C leads with D, who has other sales; jobs are small."""
    money = "commercial_sales_million_krw"
    results = [
        result(B, "P1", **{money: 900, "new_jobs": 2}),
        result(A, "P1", **{money: 900, "new_jobs": 12}),
        result(C, "P1", **{money: 900, "new_jobs": 2}),
        result(C, "P2", **{money: 900, "new_jobs": 2}),
        result(D, "P2", **{money: 300, "new_jobs": 12}),
    ]
    roles = [role(A, "P1", "lead"), role(B, "P1", "partner"), role(C, "P1", "partner"), role(C, "P2", "lead"), role(D, "P2", "partner")]  # fmt: skip
    return [table(OUTCOMES, results), table(PROJECTS, roles)]


@pytest.mark.parametrize(("rule", "sales"), [("each", 30.0), ("lead", 12.0), ("split", 12.0)])
def test_a_result_told_by_every_partner(rule: str, sales: float) -> None:
    assert totals(consortium(), "commercial_sales", partners=rule) == {1: pytest.approx(sales)}
    # small counts agree by chance, and those of firms that are a pair by their sales go with these
    jobs = {"each": 28.0, "lead": 26.0, "split": 26.0}[rule]
    assert totals(consortium(), partners=rule) == {1: pytest.approx(jobs)}


def test_who_counts_for_the_partners() -> None:
    by = {}
    for rule in ("lead", "split"):
        counted = Reported.of(consortium()).by_firm(INDICATORS[3], CountingRules(partners=rule))  # type: ignore[arg-type]
        by[rule] = counted.by_phase()[1]
    # C leads another project, in which it writes the same number: the first of the leads in the order of rows is A
    assert by["lead"] == {A: 9.0, B: 0.0, C: 0.0, D: 3.0}
    assert by["split"] == pytest.approx({A: 3.0, B: 3.0, C: 3.0, D: 3.0})


def test_rows_of_partners_name_the_lead() -> None:
    found = find_double_counting(consortium())
    money = found[(found["kind"] == "partner_same") & (found["column"] == "commercial_sales_million_krw")]
    assert money[["firm", "row", "value", "note"]].to_numpy().tolist() == [
        [B[:6], 5, 900.0, "참여"],
        [A[:6], 6, 900.0, "주관"],
        [C[:6], 7, 900.0, "참여"],
    ]
    assert not (found["column"] == "new_jobs").loc[found["kind"] == "partner_same"].all()


def test_without_roles_the_first_row_stands_for_the_lead() -> None:
    alone = consortium()[:1]
    counted = Reported.of(alone).by_firm(INDICATORS[3], CountingRules(partners="lead"))
    assert counted.by_phase()[1][B] == 9.0
    assert (find_double_counting(alone)["note"] == "주관을 알 수 없어 첫 행을 주관으로 봄").any()


def test_small_counts_that_agree_are_chance() -> None:
    rows = [result(A, "P1", new_jobs=9, patents=1), result(B, "P1", new_jobs=9, patents=1)]
    assert cases([table(OUTCOMES, rows)], "partner_same") == []
    assert totals([table(OUTCOMES, rows)], partners="lead") == {1: 18}
    rows = [result(A, "P1", new_jobs=10), result(B, "P1", new_jobs=10), result(C, "P2", new_jobs=10)]
    assert cases([table(OUTCOMES, rows)], "partner_same") == [[(A[:6], 5, 10), (B[:6], 6, 10)]]
    assert totals([table(OUTCOMES, rows)], partners="lead") == {1: 20}  # C is in no project of theirs


def test_firms_that_meet_in_a_chain_of_projects() -> None:
    money = "commercial_sales_million_krw"
    rows = [result(f, p, **{money: 500}) for f, p in ((A, "P1"), (B, "P1"), (B, "P2"), (C, "P2"), (D, "P3"))]
    assert totals([table(OUTCOMES, rows)], "commercial_sales", partners="lead") == {1: 10.0}
    assert totals([table(OUTCOMES, rows)], "commercial_sales", partners="split") == {1: pytest.approx(10.0)}


# -- arrivals ----------------------------------------------------------------------------------------


def arrivals() -> list[Table]:
    rows = [
        arrival(A, "mou", "2019-03-01"),
        arrival(A, "headquarters", "2020-02-01"),  # the move that followed
        arrival(B, "plant", "2019-05-02", origin="26110"),
        arrival(B, "plant", "2019-05-20", origin="26110"),  # told by another body
        arrival(C, "branch", "2019-01-01"),
        arrival(C, "branch", "2019-06-01"),  # again within the year: to be looked at
        arrival(None, "mou", "2019-07-01", origin=None, firm_name="이름뿐"),
        arrival(None, "mou", "2019-07-09", origin=None, firm_name="이름뿐"),
    ]
    given = [{**row, "firm_name": row.get("firm_name") or NAMES[row["firm_id"]]} for row in rows]
    return [table(ATTRACTED, given)]


@pytest.mark.parametrize(
    ("rules", "all_", "capital"),
    [
        ({}, 6, 4),
        ({"attraction": "moves"}, 4, 3),
        ({"attraction": "agreements"}, 2, 1),
        ({"bodies": "each"}, 8, 4),
        ({"bodies": "each", "attraction": "agreements"}, 3, 1),
    ],
)
def test_what_counts_as_an_arrival(rules: dict[str, str], all_: float, capital: float) -> None:
    assert totals(arrivals(), "attracted", **rules) == {1: all_}
    assert totals(arrivals(), "attracted_capital", **rules) == {1: capital}


def test_rows_of_arrivals() -> None:
    assert cases(arrivals(), "agreement") == [[(A[:6], 5, -1)], [("번호 없음 (이○○)", 11, -1)]]
    assert cases(arrivals(), "agreement_and_move") == [[(A[:6], 5, -1), (A[:6], 6, -1)]]
    assert cases(arrivals(), "told_twice") == [
        [(B[:6], 7, -1), (B[:6], 8, -1)],
        [("번호 없음 (이○○)", 11, -1), ("번호 없음 (이○○)", 12, -1)],
    ]
    assert cases(arrivals(), "told_near") == [[(C[:6], 9, -1), (C[:6], 10, -1)]]
    found = find_double_counting(arrivals())
    assert not found.loc[found["kind"] == "told_near", "certain"].any()
    assert found.loc[found["kind"] == "told_twice", "certain"].all()


def test_an_empty_list_of_arrivals() -> None:
    empty = arrivals()[0]
    nothing = empty.with_frame(empty.frame.head(0))
    assert totals_by_rule([nothing]) == []
    assert reported_totals([nothing])[0] == []
    assert find_double_counting([nothing]).empty
    assert list(find_double_counting([]).columns) == list(COLUMNS)


# -- branches and phases -----------------------------------------------------------------------------


def branches(second: str) -> list[Table]:
    rows = [
        result(A, "P1", new_jobs=12, firm_name="(주)한빛소재"),
        result(B, "P2", new_jobs=12, firm_name=second),
        result(C, "P3", new_jobs=3, firm_name="한빛"),
    ]
    return [table(OUTCOMES, rows)]


def test_a_branch_is_its_head_office_where_the_plan_says_so() -> None:
    named = branches("한빛소재 부산지사")
    assert totals(named) == {1: 27}
    assert totals(named, branches="merge") == {1: 15}
    found = find_double_counting(named)
    found = found[found["kind"] == "branch"]
    assert found[["firm", "name", "note", "certain"]].to_numpy().tolist() == [
        [A[:6], "한○○○", "본사로 봄", True],
        [B[:6], "한○○○○○○○", "지사·공장", True],
    ]


def test_two_firms_of_one_name_stay_two() -> None:
    alike = branches("한빛 소재")
    assert totals(alike, branches="merge") == totals(alike) == {1: 27}
    found = find_double_counting(alike)
    assert (
        found.loc[found["kind"] == "branch", ["certain", "note"]].to_numpy().tolist()
        == [[False, "다른 기업일 수도 있음"]] * 2
    )


def test_the_number_may_say_that_it_is_a_branch() -> None:
    """The reader tells it by the digits of the number in the sheet of projects; the results have the name only."""
    projects = table(PROJECTS, [role(A, "P1", "lead"), role(B, "P2", "lead")])
    told = projects.frame.assign(firm_name="한빛소재", place_kind=["head_office", "branch"])
    results = table(
        OUTCOMES, [result(f, p, new_jobs=12, firm_name="한빛소재") for f, p in ((A, "P1"), (B, "P2"))]
    )
    assert totals([results, projects.with_frame(told)], branches="merge") == {1: 12}
    assert totals([results], branches="merge") == {1: 24}


def test_a_firm_in_two_phases() -> None:
    money = "commercial_sales_million_krw"
    rows = [
        [result(A, "P1", 1, new_jobs=3, **{money: 700}), result(B, "P1", 1, new_jobs=1, **{money: 100})],
        [result(A, "Q1", 3, new_jobs=4, **{money: 700}), result(C, "Q1", 3, new_jobs=2, **{money: 0})],
    ]
    tables = [table(OUTCOMES, rows[0]), table(OUTCOMES, rows[1], "성과조사_3단계.xlsx")]
    assert totals(tables) == {1: 4, 3: 6}
    assert totals(tables, phases="first") == {1: 4, 3: 2}
    found = find_double_counting(tables)
    both = found[found["kind"] == "two_phases"]
    assert both[["file", "row", "phase", "note"]].to_numpy().tolist() == [
        ["성과조사_1단계.xlsx", 5, 1, "1단계, 3단계"],
        ["성과조사_3단계.xlsx", 5, 3, "1단계, 3단계"],
    ]
    assert cases(tables, "two_phases_same") == [[(A[:6], 5, 700), (A[:6], 5, 700)]]


# -- what a page and a plan see ----------------------------------------------------------------------


def test_totals_stand_side_by_side() -> None:
    rows = [r for r in totals_by_rule(consortium()) if r["indicator"] == "commercial_sales"]
    assert [
        (r["question"], r["choice"], r["chosen"], round(r["total"], 6), r["firms"], r["changed"])
        for r in rows
    ] == [
        ("as_written", "", False, 39.0, 4, 1),
        ("chosen", "", False, 30.0, 4, 0),
        ("repeated_totals", "largest", True, 30.0, 4, 0),
        ("repeated_totals", "missing", False, 30.0, 4, 0),
        ("repeated_totals", "once", False, 30.0, 4, 0),
        ("repeated_totals", "error", False, 30.0, 4, 0),
        ("partners", "each", True, 30.0, 4, 0),
        ("partners", "lead", False, 12.0, 2, 2),
        ("partners", "split", False, 12.0, 4, 3),
        ("branches", "separate", True, 30.0, 4, 0),
        ("branches", "merge", False, 30.0, 4, 0),
        ("phases", "each", True, 30.0, 4, 0),
        ("phases", "first", False, 30.0, 4, 0),
    ]
    assert {r["unit"] for r in rows} == {"억원"}


def test_facts_hold_no_value_of_a_firm() -> None:
    facts = counting_facts([*consortium(), *arrivals()], CountingRules(partners="lead"))
    text = json.dumps(facts, ensure_ascii=False, allow_nan=False)
    for firm, name in NAMES.items():
        assert firm[:6] not in text
        assert name not in text
    assert "900" not in json.dumps(facts["findings"])
    assert [rule["question"] for rule in facts["rules"]] == list(QUESTIONS)
    assert {r["question"]: r["choice"] for r in facts["rules"]}["partners"] == "lead"
    kinds = {(f["kind"], f["column"]): (f["cases"], f["rows"], f["firms"]) for f in facts["findings"]}
    assert kinds["partner_same", "commercial_sales_million_krw"] == (1, 3, 3)
    assert kinds["told_near", ""] == (1, 2, 1)
    first = next(f for f in facts["findings"] if f["kind"] == "agreement_and_move")
    assert (first["file"], first["sheet"], first["row"]) == ("성과조사_1단계.xlsx", "기업유치", 5)


def test_findings_for_a_korean_sheet() -> None:
    sheet = in_korean(find_double_counting([*consortium(), *arrivals()]))
    assert {"종류", "파일", "시트", "행", "기업", "값", "확실함"} <= set(sheet.columns)
    assert set(sheet["종류"]) <= set(KINDS.values())
    assert set(sheet["확실함"]) == {"예", "확인할 것"}
    assert not sheet["이름(가림)"].isin(NAMES.values()).any()


def test_yearly_totals_are_looked_at_too() -> None:
    rows = [{**result(A, p, year=2019), "employees": 10, "total_sales_million_krw": s} for p, s in (("P1", 100), ("P2", 130))]  # fmt: skip
    found = find_double_counting([table(FIRM_YEARS, rows)])
    assert {(k, c) for k, c in zip(found["kind"], found["column"], strict=True)} == {
        ("repeated_same", "employees"),
        ("repeated_differ", "total_sales_million_krw"),
    }
    assert set(found["year"]) == {2019}


def test_the_plan_offers_what_there_is() -> None:
    """The plan's section, the rules and their words in the same order, the same defaults."""
    fields = CountingPlan.model_fields
    assert list(fields) == list(QUESTIONS) == list(CHOICES) == list(known_choices())
    for name, choices in known_choices().items():
        assert get_args(fields[name].annotation) == choices
        assert set(CHOICES[name]) == set(choices)
        described = str(fields[name].description)
        assert [c for c in choices if c not in described] == []
    assert CountingPlan().rules() == CountingRules()
    assert CountingPlan(partners="lead").rules() == CountingRules(partners="lead")
    with pytest.raises(ValidationError):
        CountingPlan(partners="leader")  # type: ignore[arg-type]


def test_a_choice_that_is_not_known() -> None:
    with pytest.raises(PlanError, match=r"data.counting > partners.*'leads'.*lead"):
        CountingRules(partners="leads")  # type: ignore[arg-type]


def test_the_study_counts_by_the_plan() -> None:
    tables = [*consortium(), *arrivals()]
    defaults = {r["indicator"]: r["deduplicated"] for r in reported_totals(tables)[0]}
    merged = {
        r["indicator"]: r["deduplicated"]
        for r in reported_totals(tables, rules=CountingRules(partners="lead", attraction="moves"))[0]
    }
    assert (defaults["commercial_sales"], merged["commercial_sales"]) == (30.0, 12.0)
    assert (defaults["attracted"], merged["attracted"]) == (6.0, 4.0)
    assert defaults["attracted_moved"] == merged["attracted_moved"] == 4.0
    kept = reported_totals(tables, rules=CountingRules(bodies="each"))[1]
    assert [len(t.frame) for t in kept] == [4, 8]


def test_every_combination_of_rules_can_be_counted() -> None:
    tables = [*consortium(), *arrivals(), *branches("한빛소재 부산지사")]
    names = list(known_choices())
    reported = Reported.of(tables)
    for combination in itertools.product(*known_choices().values()):
        rules = dict(zip(names, combination, strict=True))
        if rules["repeated_totals"] != "error":
            for indicator in (INDICATORS[0], INDICATORS[6]):
                assert reported.by_firm(indicator, CountingRules(**rules)).total(1) > 0  # type: ignore[arg-type]


@pytest.mark.parametrize(("when", "near"), [("2021-05-31", 1), ("2021-06-01", 0)])
def test_told_again_within_twelve_months(when: str, near: int) -> None:
    """May 2020 and May 2021 are twelve months apart, whatever the day."""
    rows = [arrival(A, "지점", "2020-05-01"), arrival(A, "지점", when)]
    assert len(cases([table(ATTRACTED, rows)], "told_near")) == near


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [("new_jobs", 10, 1), ("new_jobs", 9, 0), ("commercial_sales_million_krw", 0.4, 1)],
)
def test_how_large_a_result_of_two_phases_must_be(column: str, value: float, told: int) -> None:
    """Counts from ten on; money of any amount."""
    tables = [table(OUTCOMES, [result(A, "P1", phase, **{column: value})]) for phase in (1, 2)]
    assert len(cases(tables, "two_phases_same")) == told
