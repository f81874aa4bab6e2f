"""Release: suppression, identifiers, escaping, and the marks that the report asks for."""

from __future__ import annotations

import base64
import json
from typing import Any

import pandas as pd
import pytest

from evalkit.errors import DisclosureError, UsageError
from evalkit.present import figures
from evalkit.present.tabulation import Column, Entry, Tabulation, Total
from evalkit.release import PAYLOAD, Headline, Release, identifier_in, inert_markdown, suppress

# published numbers: 116-82-00276 and 124-81-00998 stand on public pages with their check digits; 900101-1234567 is made up
GOOD = "1248100998"


def table_of(
    rows: tuple[tuple[Any, ...], ...],
    counts: Any,
    *,
    roles: tuple[Any, ...] = (),
    totals: tuple[Total, ...] = (),
    columns: tuple[Column, ...] | None = None,
    **more: Any,
) -> Tabulation:
    width = len(rows[0])
    specs = columns or (
        Column("sido", "시·도"),
        *(Column(f"v{k}", f"값{k}", "integer") for k in range(1, width)),
    )
    return Tabulation("t", "표", specs, rows, counts=counts, roles=roles, totals=totals, **more)


# -- suppression ------------------------------------------------------------------------------------


def test_cells_from_fewer_firms_are_marked_never_zero() -> None:
    table = table_of((("부산", 12), ("대구", 7), ("광주", 9), ("제주", 0)), (2, 3, 1, 0))
    released = Release(min_firms=3).table(table)
    shown = Tabulation.from_json(released.payload["table"])
    assert [shown.text(r, 1) for r in range(4)] == ["*", "7", "*", "0"]
    assert [shown.text(r, 0) for r in range(4)] == ["부산", "대구", "광주", "제주"]
    assert any("3개 미만" in note for note in shown.notes)
    rules = [(e["row"], e["column"], e["rule"]) for e in released.payload["disclosure"]]
    assert rules == [("부산", "값1", "threshold"), ("광주", "값1", "threshold")]
    for text in (released.html, released.payload["csv"], json.dumps(released.payload, ensure_ascii=False)):
        assert "12" not in text
    assert "counts" in released.payload["table"]
    assert released.payload["table"]["counts"] is None


def test_nothing_is_marked_where_every_cell_is_thick_enough_or_has_no_firms() -> None:
    table = table_of((("부산", 12), ("대구", 7)), (3, None))
    released = Release(min_firms=3).table(table)
    assert released.payload["disclosure"] == []
    assert "*" not in released.html
    assert suppress(table_of((("부산", 12),), None), 3) == {}
    assert suppress(table, 4) == {(0, 1): "threshold"}


def test_a_total_does_not_give_the_hidden_cell_away() -> None:
    rows = (("부산", 10), ("대구", 20), ("광주", 30), ("계", 60))
    table = table_of(rows, (2, 8, 5, 15), totals=(Total("row", 3, (0, 1, 2)),))
    # the next smallest group (광주, 5 firms) goes with 부산
    assert suppress(table, 3) == {(0, 1): "threshold", (2, 1): "complementary"}
    implied = table_of(rows, (2, 8, 5, 15), roles=("body", "body", "body", "total"))
    assert suppress(implied, 3) == suppress(table, 3)


def test_hidden_cells_together_hold_enough_firms() -> None:
    rows = (("부산", 10), ("대구", 20), ("광주", 30), ("계", 60))
    table = table_of(rows, (1, 1, 9, 11), totals=(Total("row", 3, (0, 1, 2)),))
    # two hidden firms: the total less 광주 would be their sum
    assert suppress(table, 3) == {
        (0, 1): "threshold",
        (1, 1): "threshold",
        (2, 1): "complementary",
    }


def test_an_empty_group_protects_nothing() -> None:
    rows = (("부산", 10), ("대구", 0), ("광주", 30), ("계", 40))
    table = table_of(rows, (2, 0, 9, 11), totals=(Total("row", 3, (0, 1, 2)),))
    assert set(suppress(table, 3)) == {(0, 1), (2, 1)}


def test_totals_in_both_directions_are_solved_as_a_system() -> None:
    columns = (
        Column("sido", "시·도"),
        Column("a", "A", "integer"),
        Column("b", "B", "integer"),
        Column("c", "C", "integer"),
        Column("s", "계", "integer"),
    )
    rows = (
        ("부산", 5, 20, 30, 55),
        ("대구", 40, 50, 60, 150),
        ("광주", 70, 80, 90, 240),
        ("계", 115, 150, 180, 445),
    )
    counts = ((None, 2, 6, 7, 15), (None, 8, 9, 10, 27), (None, 11, 12, 13, 36), (None, 21, 27, 30, 78))
    totals = (Total("row", 3, (0, 1, 2)), Total("column", 4, (1, 2, 3)))
    table = table_of(rows, counts, columns=columns, totals=totals)
    hidden = suppress(table, 3)
    assert hidden[(0, 1)] == "threshold"
    # a rectangle at least: two in the row, two in the column, and neither of those alone in its own line
    for r in range(4):
        line = [at for at in hidden if at[0] == r]
        assert len(line) != 1
    for c in range(1, 5):
        line = [at for at in hidden if at[1] == c]
        assert len(line) != 1
    assert not _determined(table, hidden)


def _determined(table: Tabulation, hidden: dict[tuple[int, int], str]) -> set[tuple[int, int]]:
    """Cells that a reader finds by subtracting, again and again: an oracle without linear algebra."""
    known = {(r, c) for r in range(len(table.rows)) for c in range(1, len(table.columns))} - set(hidden)
    lines: list[list[tuple[int, int]]] = []
    for total in table.totals:
        if total.axis == "row":
            lines += [[(r, c) for r in (total.total, *total.parts)] for c in range(1, len(table.columns))]
        else:
            lines += [[(r, c) for c in (total.total, *total.parts)] for r in range(len(table.rows))]
    found: set[tuple[int, int]] = set()
    again = True
    while again:
        again = False
        for line in lines:
            missing = [at for at in line if at not in known]
            if len(missing) == 1:
                known.add(missing[0])
                found.add(missing[0])
                again = True
    return found


def test_intervals_texts_and_entries_of_a_thin_row_are_hidden_too() -> None:
    columns = (Column("a", "가"), Column("b", "나", "interval"), Column("c", "다"))
    table = Tabulation(
        "t", "", columns, (("x", (1.0, 2.0), "글"), ("y", Entry(3.5, "number"), None)), counts=(1, 2)
    )
    shown = Tabulation.from_json(Release().table(table).payload["table"])
    assert [shown.text(r, c) for r in range(2) for c in range(1, 3)] == ["*", "*", "*", "–"]
    assert "3.5" not in Release().table(table).html


def test_the_log_gathers_over_tables() -> None:
    release = Release(min_firms=3)
    for _ in range(2):
        release.table(table_of((("부산", 12),), (1,)))
    assert [entry.rule for entry in release.log] == ["threshold", "threshold"]
    assert release.log[0].to_json() == {
        "table": "t",
        "row": "부산",
        "column": "값1",
        "rule": "threshold",
        "action": "suppressed",
        "limit": "firms >= 3",
    }


# -- identifiers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("124-81-00998", "사업자등록번호"),
        (f"번호{GOOD}호", "사업자등록번호"),
        ("1168200276.0", "사업자등록번호"),  # a number that went through a float
        ("124–81–00998", "사업자등록번호"),  # an en dash
        ("900101-1234567", "법인등록번호 또는 주민등록번호"),
        ("1101111234567", "법인등록번호 또는 주민등록번호"),
        ("010-1234-5678", "전화번호"),
        ("01012345678", "전화번호"),
        ("+82 10-1234-5678", "전화번호"),
        ("02-555-1234", "전화번호"),
        ("(053) 555-1234", "전화번호"),
    ],
)
def test_identifiers_are_found(text: str, kind: str) -> None:
    assert identifier_in(f"기업 {text} 이다") == kind


@pytest.mark.parametrize(
    "text",
    [
        "1,446,000,000원",
        "1248100999",  # the check digit does not fit
        "0.1248100998",
        "2018-03-01",
        "2018–2020",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "a1248100998b1248100998c",  # digits of a hash
        "[−4.0, 28.1]",
        "시군구 26110",
        "지역번호 02 2018 2020",
        "1012345678",
        "10-1234-5678명",
        "95% 신뢰구간 1.02-3.45",
    ],
)
def test_what_is_no_identifier_is_let_through(text: str) -> None:
    assert identifier_in(text) is None


def base_table(**change: Any) -> Tabulation:
    values: dict[str, Any] = {
        "name": "t",
        "title": "제목",
        "columns": (Column("a", "가"), Column("b", "나")),
        "rows": (("부산", "값"),),
        "notes": ("주",),
    }
    return Tabulation(**{**values, **change})


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"title": "124-81-00998"}, "제목"),
        ({"notes": ("주", "124-81-00998")}, "주 2"),
        ({"rows": (("부산", "값"), ("대구", "124-81-00998"))}, "2행 > 나"),
        ({"columns": (Column("a", "가"), Column("b", "나", unit="124-81-00998"))}, "열 이름"),
        ({"columns": (Column("a", "가"), Column("b", "나", group="124-81-00998"))}, "열 이름"),
    ],
)
def test_an_identifier_anywhere_in_a_table_is_named_by_place_not_by_value(
    change: dict[str, Any], place: str
) -> None:
    with pytest.raises(DisclosureError) as caught:
        Release().table(base_table(**change))
    assert place in str(caught.value)
    assert "표 t" in str(caught.value)
    assert "00998" not in str(caught.value)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("label", ["기업명", "사업자등록번호", "대표자 명", "firm_name"])
def test_columns_of_identifying_facts_are_refused(label: str) -> None:
    with pytest.raises(DisclosureError, match="식별 정보의 열"):
        Release().table(base_table(columns=(Column("a", "가"), Column("b", label))))


def test_business_numbers_in_a_numeric_column_are_refused_but_amounts_are_not() -> None:
    numbers = (int(GOOD), 1168200276)
    with pytest.raises(DisclosureError, match="읽히는 수의 열"):
        Release().table(table_of(tuple((str(k), n) for k, n in enumerate(numbers)), None))
    won = (Column("a", "가"), Column("b", "매출", "integer", "원"))
    amounts = (("부산", int(GOOD)), ("대구", 2000000000))
    assert Release().table(table_of(amounts, None, columns=won)).payload["disclosure"] == []


# -- figures ----------------------------------------------------------------------------------------


def drawing_of(n: int = 40, **words: str) -> Any:
    frame = pd.DataFrame(
        {
            "estimate": [0.1, 1.0],
            "conf_low": [-1.0, 0.2],
            "conf_high": [1.0, 2.0],
            "n_treated": n,
            "n_comparison": 90,
        },
        index=pd.Index([-2, 0], name="event_time"),
    )
    return figures.event_study(frame, **{"title": "제목 <b>", "ylabel": "고용 (명)", **words})  # type: ignore[arg-type]


def test_a_figure_carries_our_alternative_text_and_its_values() -> None:
    drawing = drawing_of()
    released = Release().figure(drawing)
    picture = base64.b64encode(drawing.svg.encode()).decode()
    assert f'src="data:image/svg+xml;base64,{picture}"' in released.html
    assert f'alt="{drawing.alt}"' in released.html
    assert "<figcaption>제목 &lt;b&gt;</figcaption>" in released.html
    assert "<details><summary>그림의 값" in released.html
    assert released.payload["kind"] == "figure"
    assert released.payload["svg"] == drawing.svg
    assert released.payload["alt"] == drawing.alt
    assert released.payload["table"]["counts"] is None


def test_a_figure_of_a_small_group_is_refused() -> None:
    with pytest.raises(DisclosureError, match="기업 3개 미만"):
        Release(min_firms=3).figure(drawing_of(2))
    assert Release(min_firms=2).figure(drawing_of(2)).payload["kind"] == "figure"


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ({"ylabel": "124-81-00998"}, "그림 속 글"),
        ({"title": "124-81-00998"}, "제목"),
        ({"note": "010-1234-5678"}, "주"),
    ],
)
def test_an_identifier_in_a_figure_is_refused(words: dict[str, str], place: str) -> None:
    with pytest.raises(DisclosureError) as caught:
        Release().figure(drawing_of(**words))
    assert "그림 event-study" in str(caught.value)
    assert place in str(caught.value) or "대체 글" in str(caught.value)


# -- everything else --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["table", "figure", "text"])
def test_a_raw_frame_is_refused_with_the_way_out(method: str) -> None:
    frame = pd.DataFrame({"기업명": ["가"], "매출": [1]})
    with pytest.raises(DisclosureError) as caught:
        getattr(Release(), method)(frame)
    assert "DataFrame" in str(caught.value)
    assert "→" in str(caught.value)
    assert "매출" not in str(caught.value)


def test_everything_carries_the_mark_and_a_description() -> None:
    release = Release(lang="ko")
    outputs = [
        release.table(base_table()),
        release.figure(drawing_of()),
        release.text("**글**"),
        release.notice("caution", "모의 자료이다."),
        release.headline("고용", "2.1명", "고용은 늘었다.", 3),
        release.summary_cards(
            [Headline("고용", "2.1명", "늘었다."), {"label": "매출", "value": "–", "sentence": "모른다."}]
        ),
    ]
    kinds = []
    for released in outputs:
        data, metadata = released._repr_mimebundle_()
        assert metadata["evalkit"] == {"released": True}
        shown = [form for form in data if form in ("text/html", "text/markdown")]
        assert len(shown) == 1
        assert metadata[shown[0]] == {"evalkit": {"released": True}}
        assert data["text/plain"] == repr(released)
        assert data[PAYLOAD]["schema"] == 1
        json.dumps(data[PAYLOAD], allow_nan=False)
        kinds.append(data[PAYLOAD]["kind"])
    assert kinds == ["table", "figure", "text", "notice", "headline", "cards"]


def test_ipython_shows_them_with_their_metadata() -> None:
    from IPython.core.formatters import DisplayFormatter

    data, metadata = DisplayFormatter().format(Release().notice("note", "가"))
    assert "text/html" in data
    assert metadata["evalkit"] == {"released": True}


def test_words_of_notices_and_headlines() -> None:
    release = Release()
    assert "<strong>주의</strong> a &lt;b&gt;" in release.notice("caution", "a <b>").html
    headline = release.headline("고용 · 1단계", "2.1명/기업", "늘었다.", 3)
    assert "근거 등급 3" in headline.html
    assert headline.payload["items"] == [
        {"label": "고용 · 1단계", "value": "2.1명/기업", "sentence": "늘었다.", "grade": "3"}
    ]
    assert "등급" not in release.headline("가", "나", "다").html
    assert "Evidence grade 3" in Release(lang="en").headline("a", "b", "c", 3).html
    with pytest.raises(UsageError, match="수준"):
        release.notice("loud", "가")
    with pytest.raises(DisclosureError):
        release.headline("가", "나", "010-1234-5678")
    with pytest.raises(DisclosureError):
        release.notice("note", "010-1234-5678")


def test_markdown_cannot_load_or_run_anything() -> None:
    text = "**굵게** <script>alert(1)</script> ![x](http://a/b.png) `a <b>` 3 < 5"
    shown = Release().text(text).data["text/markdown"]
    assert "<script" not in shown
    assert "![" not in shown
    assert "\\`a &lt;b>\\`" in shown
    assert "3 < 5" in shown
    assert inert_markdown("") == ""
    with pytest.raises(DisclosureError, match="본문"):
        Release().text("124-81-00998")


def test_the_smallest_group_must_be_a_number() -> None:
    for wrong in (0, 2.5, True):
        with pytest.raises(UsageError, match="최소 기업 수"):
            Release(min_firms=wrong)  # type: ignore[arg-type]
