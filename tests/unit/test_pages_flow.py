"""The flow of the sample on the pages: no step tells of one or two firms, in the picture, its words, its data or its keys."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_study import raw_plan, small_panel, small_study

from evalkit.release import Release
from evalkit.release.run_audit import Published, audit
from evalkit.study import Study
from evalkit.study.pages import audit_samples, design_compared, flow
from evalkit.study.sample import draw_sample

FIRMS = {"builder": "firms", "groups": raw_plan()["units"]["groups"]}


def study_of(folder: Path, *, lost: tuple[int, int], then: int = 0, lang: str = "ko", **units: Any) -> Study:
    """Units without a value in the base year (supported, others), and others seen only once."""
    panel = small_panel()
    jobs = panel.values("jobs").copy()
    supported = np.isfinite(np.asarray(panel.constant("adoption"), dtype=np.float64))
    for side, count in ((supported, lost[0]), (~supported, lost[1])):
        jobs[np.flatnonzero(side)[:count], panel.periods == 2017] = np.nan
    others = np.flatnonzero(~supported)
    for unit in others[len(others) - then :]:
        jobs[unit, panel.periods != 2017] = np.nan
    return small_study(folder, panel.with_varying(jobs=jobs), lang, units={**FIRMS, **units})


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[Study], list[dict[str, Any]]]:
    """Descriptions of what three pages show of the sample, all under one name of the quantity."""
    kept: list[Any] = []
    for module in (flow, audit_samples, design_compared):
        monkeypatch.setattr(module, "show", lambda *items: kept.extend(items))

    def run(study: Study) -> list[dict[str, Any]]:
        kept.clear()
        # the pages read nothing but the sample of an effect, whose numbers are not looked at here
        sample = draw_sample(study.plan, study.panel(), "jobs", 1, study.lang)
        planned = SimpleNamespace(outcome="jobs", phase=1, sample=sample)
        monkeypatch.setattr(Study, "effect", lambda *_: planned)
        flow.flow_figure(study, planned.sample, "jobs", "flow", 1)
        audit_samples.samples(study)
        design_compared.by_cluster(study, planned)  # type: ignore[arg-type]
        return [item.payload for item in kept]

    return run


def rows(payload: dict[str, Any]) -> list[list[str]]:
    found = list(csv.reader(io.StringIO(payload["csv"])))
    return [row[-4:] for row in found[1:] if any(row[-3:])]  # the name of a group stands before the others


def counts(payload: dict[str, Any]) -> list[tuple[float, float]]:
    """Units and supported units left, of the lines that tell them."""
    found = [row[2:4] for row in rows(payload)]
    return [(float(left), float(treated)) for left, treated in found if "*" not in (left, treated)]


def test_a_step_of_two_firms_is_joined_with_its_neighbour(tmp_path: Path, shown: Any) -> None:
    drawn, listed, _ = shown(study_of(tmp_path, lost=(0, 2), then=5))
    for payload in (drawn, listed):
        assert len(rows(payload)) == 2
        (before, _), (after, _) = counts(payload)
        assert before - after == 7
        assert "기준 연도에 관측되지 않음 · 두 해 이상 관측되지 않음" in payload["csv"]
    assert "기업 3곳 미만이 빠진 단계는 이웃 단계와 합해 적었다." in drawn["note"]
    assert re.findall(r"−(\d+)", drawn["alt"]) == ["7"]
    english = shown(study_of(tmp_path, lost=(0, 2), then=5, lang="en"))[0]
    assert "joined with their neighbours" in english["note"]
    assert not re.search("[가-힣]", english["note"])


def test_one_supported_firm_is_not_told_apart_from_the_others(tmp_path: Path, shown: Any) -> None:
    drawn, listed, _ = shown(study_of(tmp_path, lost=(1, 8), then=5))
    for payload in (drawn, listed):
        found = rows(payload)
        assert [row[3] == "*" for row in found] == [True, True, False]
        assert payload["hidden"]
        assert [entry["action"] for entry in payload["disclosure"]] == ["suppressed"] * 2
    assert "되짚을 수 있는 값" in drawn["note"]


@pytest.mark.parametrize("lost", [(1, 0), (0, 1), (1, 1), (2, 0)])
def test_where_only_one_or_two_left_the_start_keeps_its_number(
    tmp_path: Path, shown: Any, lost: tuple[int, int]
) -> None:
    study = study_of(tmp_path, lost=lost)
    whole = str(len(study.panel("units").units))
    for payload in shown(study)[:2]:
        assert [row[2] == "*" for row in rows(payload)] == [True, False]
        words = " ".join(str(payload.get(name, "")) for name in ("title", "alt", "note", "csv"))
        assert not re.search(rf"(?<!\d){whole}(?!\d)", words)
    assert "기준 연도에 관측되지 않음 *" in shown(study)[0]["alt"]


def test_other_units_than_firms_are_told_as_they_are(tmp_path: Path, shown: Any) -> None:
    drawn = shown(study_of(tmp_path, lost=(1, 1), builder="regions"))[0]
    (before, treated), (after, left) = counts(drawn)
    assert (before - after, treated - left) == (2, 1)


def test_pages_name_the_same_numbers_alike_and_the_audit_joins_them(tmp_path: Path, shown: Any) -> None:
    study = study_of(tmp_path, lost=(0, 4), then=5)
    found = [Published.read(str(k), payload) for k, payload in enumerate(shown(study))]
    tables = [entry for entry in found if entry is not None]
    assert len(tables) == 3
    known: dict[str, set[float]] = {}
    for entry in tables:
        for (r, c), key in entry.table.keys.items():
            value = entry.table.value(r, c)
            if isinstance(value, int | float):
                known.setdefault(key, set()).add(float(value))
    assert all(len(values) == 1 for values in known.values())
    whole = {"firms.jobs.1.all.treated", "firms.jobs.1.all.comparison"}
    assert whole <= set(known)
    assert audit(tables, ["0", "1", "2"], study.plan.disclosure.rules()) == []


def test_a_province_withheld_on_one_page_follows_from_the_others_and_one_page_is_stopped(
    tmp_path: Path, shown: Any
) -> None:
    """The national page withholds a thin province and one beside it; the province page of the latter gives both away."""
    from evalkit.present.tabulation import Column, Tabulation
    from evalkit.study.pages.quantities import firms_key

    panel = small_panel()
    adoption = np.asarray(panel.constant("adoption"), dtype=np.float64).copy()
    home = panel.constant("sido").astype(str)
    first = np.flatnonzero(np.isfinite(adoption) & (home == home[0]))
    adoption[first[2:]] = np.inf  # two supported firms are left in the first province
    study = small_study(tmp_path, panel.with_fixed(adoption=adoption), units=FIRMS)
    national = shown(study)[2]
    hidden = {r for r, c, *_ in national["hidden"] if c == 1}
    labels = [row[0] for row in national["table"]["rows"]]
    assert len(hidden) == 2
    pages = {"national": national}
    for r, name in enumerate(labels[:-1]):
        count = int(
            (draw_sample(study.plan, panel, "jobs", 1).panel.constant("sido").astype(str) == name).sum()
        )
        treated = 2 if r in hidden and name == labels[min(hidden)] else 5
        if count and treated != 2:
            table = Tabulation(
                "own", name, (Column("what", "w"), Column("n", "n", "integer")), [("지원", treated)], counts=[treated],
                keys={(0, 1): firms_key("jobs", 1, name, "treated")},
            )  # fmt: skip
            pages[name] = Release(3).table(table).payload
    entries = [entry for name, payload in pages.items() if (entry := Published.read(name, payload))]
    rules = study.plan.disclosure.rules()
    stopped = audit(entries, list(pages), rules)
    beside = labels[max(hidden)]
    assert [exposure.report for exposure in stopped] == [beside]
    assert audit([entry for entry in entries if entry.report != beside], list(pages), rules) == []
