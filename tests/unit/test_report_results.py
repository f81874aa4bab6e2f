"""The numbers of a page as data: complete, rounded, in the form that the schema states."""

from __future__ import annotations

import json
import math
from typing import Any

import jsonschema
import pytest

from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.release import PAYLOAD, Release
from evalkit.report.results import SCHEMA_FILE, results_bytes, results_of, rounded

SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def payloads() -> list[dict[str, Any]]:
    release = Release(min_firms=3)
    columns = (
        Column("who", "집단"),
        Column("jobs", "고용", "number", unit="명"),
        Column("range", "구간", "interval"),
    )
    rows = (
        ("경북", 2 / 3, (-1.0, 1e9 / 7)),
        ("충남", math.inf, None),
        ("충남", 5.0, (0.1, 0.2)),
        ("효과", Entry(12, "integer", unit="명"), None),
    )
    table = Tabulation("effects", "효과", columns, rows, counts=(9, 9, 2, 9), notes=("모의 자료",))
    shown = [
        release.headline("고용", "12명", "12명 늘었다.", 3),
        release.table(table),
        release.text("본문 <b>"),
        release.notice("caution", "조심"),
    ]
    return [dict(item.data[PAYLOAD]) for item in shown]


def test_results_have_the_form_that_the_schema_states() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(results_bytes(payloads(), "02_effect")), SCHEMA)


@pytest.mark.parametrize(
    "damage",
    [
        lambda r: r.pop("tables"),
        lambda r: r.update(schema=2),
        lambda r: r["tables"][0]["rows"][0]["cells"].append({"counts": 2}),
        lambda r: r["headlines"][0].pop("value"),
        lambda r: r["tables"][0].update(counts=[[1]]),
    ],
)
def test_the_schema_refuses_what_it_does_not_state(damage: Any) -> None:
    results = json.loads(results_bytes(payloads(), "x"))
    damage(results)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(results, SCHEMA)


def test_every_cell_is_there_with_the_name_of_its_row_and_column() -> None:
    results = results_of(payloads(), "02_effect")
    (table,) = results["tables"]
    assert [c["key"] for c in table["columns"]] == ["who", "jobs", "range"]
    assert table["columns"][1]["unit"] == "명"
    assert [r["key"] for r in table["rows"]] == ["경북", "충남", "충남 #2", "효과"]
    first, second, thin, entry = (r["cells"] for r in table["rows"])
    assert first == ["경북", 0.6666666667, [-1.0, 142857142.9]]
    assert second[1] == {"infinite": 1}
    assert entry[1] == {"value": 12, "kind": "integer", "unit": "명"}
    assert thin[1] is None
    assert {(r, c) for r, c, _ in table["marks"]} >= {(2, 1)}
    assert results["headlines"] == [
        {"label": "고용", "value": "12명", "sentence": "12명 늘었다.", "grade": "3"}
    ]
    assert [t["kind"] for t in results["texts"]] == ["text", "notice"]
    assert results["lang"] == "ko"


def test_a_suppressed_value_and_the_counts_of_firms_stand_nowhere() -> None:
    text = results_bytes(payloads(), "x").decode()
    assert "0.2" not in text
    assert "counts" not in text


def test_the_last_bits_of_a_sum_do_not_count() -> None:
    assert rounded(0.1 + 0.2) == rounded(0.3)
    assert rounded(1 + 1e-9) != rounded(1.0)
    assert rounded(12345678901) == 12345678901  # whole numbers are not rounded
    assert str(rounded(-0.0)) == "0.0"
    assert rounded(-math.inf) == {"infinite": -1}


def test_rows_under_headings_are_told_apart() -> None:
    table = Tabulation(
        "panels",
        "",
        (Column("a", "이름"), Column("b", "값", "number")),
        (("1단계", None), ("고용", 1.0), ("3단계", None), ("고용", 2.0)),
        roles=("heading", "body", "heading", "body"),
    )
    payload = dict(Release().table(table).data[PAYLOAD])
    rows = results_of([payload], "x")["tables"][0]["rows"]
    assert [r["key"] for r in rows] == ["1단계", "1단계 › 고용", "3단계", "3단계 › 고용"]
