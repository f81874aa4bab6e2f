"""The audit over all tables of a run, against counting: it says that a cell follows exactly where it does."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.present.tabulation import Column, Identity, Tabulation, Total
from evalkit.release import Release, Rules
from evalkit.release.ledger import ledger_csv, totals_of
from evalkit.release.run_audit import Published, audit

COLUMNS = (Column("g", "집단"), Column("n", "기업", "integer"))


def counted(name: str, rows: list[tuple[str, int]], **more: Any) -> Tabulation:
    keys = {(r, 1): f"firms.{label}" for r, (label, _) in enumerate(rows)}
    return Tabulation(name, name, COLUMNS, rows, counts=[n for _, n in rows], keys=keys, **more)


def published(report: str, table: Tabulation, least: int = 3) -> Published | None:
    return Published.read(report, Release(least).table(table).payload)


def run_of(*entries: tuple[str, Tabulation], least: int = 3) -> list[Any]:
    found = [published(report, table, least) for report, table in entries]
    order = list(dict.fromkeys(report for report, _ in entries))
    return audit([entry for entry in found if entry is not None], order, Rules(least))


FATES = [("이전", 67), ("짧음", 1), ("모름", 6)]


def test_a_cell_shown_elsewhere_stops_the_later_page() -> None:
    first = counted("fates", FATES)
    second = Tabulation("flow", "", COLUMNS, [("짧음", 1)], counts=None, keys={(0, 1): "firms.짧음"})
    (found,) = run_of(("a", first), ("b", second))
    assert (found.place, found.given_by, found.report) == ("a › fates", ("b › flow",), "b")
    (turned,) = run_of(("b", second), ("a", first))
    assert turned.report == "a"


def test_a_total_on_another_page_gives_the_cell_away_and_a_second_withheld_cell_does_not() -> None:
    total = Tabulation(
        "flow", "", COLUMNS, [("모두", 74)], counts=None, keys={(0, 1): "firms.모두"},
        identities=(Identity("firms.모두", ("firms.이전", "firms.짧음", "firms.모름")),),
    )  # fmt: skip
    (found,) = run_of(("a", counted("fates", FATES)), ("b", total))
    assert found.report == "b"
    withheld = counted(
        "fates",
        [*FATES, ("모두", 74)],
        totals=(Total("row", 3, (0, 1, 2)),),
        roles=("body", "body", "body", "total"),
    )
    assert run_of(("a", withheld), ("b", total)) == []


def test_tables_that_share_nothing_are_not_joined_and_public_statistics_are_let_alone() -> None:
    other = Tabulation("flow", "", COLUMNS, [("짧음", 1)], counts=None)
    assert run_of(("a", counted("fates", FATES)), ("b", other)) == []
    assert run_of(("a", counted("fates", FATES)), ("b", counted("again", FATES)), least=1) == []


def test_two_pages_may_withhold_different_neighbours_of_one_cell() -> None:
    # each page alone is safe; together each shows what the other withheld beside the thin cell
    one = counted("one", [("a", 2), ("b", 5), ("c", 9), ("all", 16)], totals=(Total("row", 3, (0, 1, 2)),))
    two = Tabulation("two", "", COLUMNS, [("b", 5)], counts=[5], keys={(0, 1): "firms.b"})
    (found,) = run_of(("x", one), ("y", two))
    assert (found.place, found.report) == ("x › one", "y")


def test_one_release_withholds_a_quantity_in_all_its_tables() -> None:
    release = Release(3)
    one = counted("one", [("a", 2), ("b", 5), ("c", 9), ("all", 16)], totals=(Total("row", 3, (0, 1, 2)),))
    two = counted("two", [("b", 5), ("c", 9)])
    payloads = [release.table(table).payload for table in (one, two)]
    assert payloads[1]["hidden"] == [[0, 1, "complementary", True]]
    entries = [Published.read("x", payload) for payload in payloads]
    assert audit([entry for entry in entries if entry], ["x"], Rules(3)) == []


@given(
    st.lists(st.integers(0, 7), min_size=3, max_size=5),
    st.lists(st.booleans(), min_size=5, max_size=5),
    st.booleans(),
    st.sampled_from([3, 4]),
)
@settings(max_examples=60, deadline=None)
def test_the_audit_finds_what_counting_finds(
    truth: list[int], also: list[bool], with_total: bool, least: int
) -> None:
    names = [f"g{k}" for k in range(len(truth))]
    one = counted("one", list(zip(names, truth, strict=True)))
    told = [(n, v) for n, v, keep in zip(names, truth, also, strict=False) if keep]
    if with_total:
        told.append(("all", sum(truth)))
    two = Tabulation(
        "two", "", COLUMNS, told, counts=None, keys={(r, 1): f"firms.{n}" for r, (n, _) in enumerate(told)},
        identities=(Identity("firms.all", tuple(f"firms.{n}" for n in names)),),
    )  # fmt: skip
    shown = {n for n, v in zip(names, truth, strict=True) if not 0 < v < least} | {n for n, _ in told}
    thin = [n for n, v in zip(names, truth, strict=True) if 0 < v < least]
    away = {n for n in thin if n in shown}
    left = [n for n in thin if n not in shown]
    if with_total and left:
        rest = sum(v for n, v in zip(names, truth, strict=True) if n in left)
        fits = [x for x in itertools.product(range(1, least), repeat=len(left)) if sum(x) == rest]
        away |= {n for k, n in enumerate(left) if len({x[k] for x in fits}) == 1}
    assert bool(run_of(("a", one), ("b", two), least=least)) == bool(away)


def test_the_list_of_cells_is_a_form_to_sign() -> None:
    release = Release(3)
    rows = release.table(counted("fates", [("=짧음", 1), ("이전", 67)])).payload["disclosure"]
    text = ledger_csv({"report": "a", **row} for row in rows)
    assert text.splitlines() == [
        "report,table,row,column,rule,action,limit,decision,checker,date",
        "a,fates,'=짧음,기업,threshold,suppressed,firms >= 3,,,",
    ]
    assert totals_of(rows) == {"suppressed": {"threshold": 1}}
    columns = (Column("g", ""), Column("w", "생존율", "percent"), Column("m", "중앙값", "number"))
    whole = Tabulation("t", "", columns, [("a", 1.0, 4.5)], counts=[30])
    flags = Release(3).table(whole).payload["disclosure"]
    assert [(row["rule"], row["action"]) for row in flags] == [
        ("group", "flagged"),
        ("order_statistic", "flagged"),
    ]
    total = Tabulation(
        "t",
        "",
        (Column("g", ""), Column("s", "매출", "number", statistic="total")),
        [("a", 9.5)],
        counts=[30],
    )
    assert [row["rule"] for row in Release(3).table(total).payload["disclosure"]] == ["contributions_unknown"]


def test_no_letter_of_the_list_to_be_signed_hides_another() -> None:
    place = {"report": "a", "table": "t", "row": "가\u202e나", "column": "매출\x07", "rule": "threshold"}
    line = ledger_csv([place]).splitlines()[1]
    assert line.startswith("a,t,가[U+202E]나,매출\ufffd,threshold,")
