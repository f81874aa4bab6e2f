"""Pages made by hand that hold every kind of block the template knows, in both languages; nothing is rendered by a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import nbformat
import pandas as pd

from evalkit.errors import DisclosureError
from evalkit.present import figures
from evalkit.present.tabulation import Column, Tabulation, Total
from evalkit.release import Headline, Release
from evalkit.report.index import ListedPlan, render_index, render_programmes
from evalkit.report.page import Failure, Frame, read_content, refused_content, render_page

PROSE = {
    "ko": """# 효과 추정

## 결론

«현대重» 은 `zone_distance` 로 재었다. 긴 주소는 {long} 이다. 각주가 있다[^1]. ~~지운 말~~

- 첫째: 기업당 1.89명 [1.31, 2.48]
- 둘째: p < 0.001

1. 하나
2. 둘

> 인용한 말

$$\\tau = E[Y(1) - Y(0)]$$

식 $\\hat{\\tau}_g$ 는 줄 안에 있다.

| 이름 | 값 |
|:---|---:|
| 가 | 1 |

| 이름 | 다른 값 |
|---|---|
| 나 | 2 |

[^1]: 각주의 글.

### 표본

#### 표본의 지역
""",
    "en": """# Effect on jobs and an unusually long heading that runs over the width of a phone

## Answer

Measured by `zone_distance` in 오송 and 충북. A long address: {long}. A note[^1].

- First: 1.89 per firm [1.31, 2.48]

$$\\tau = E[Y(1) - Y(0)]$$

| Name | Value |
|:---|---:|
| A | 1 |

[^1]: The note.

### Details

#### More details
""",
}
WORDS = {
    "ko": {
        "name": "이름",
        "value": "값",
        "group": "묶음",
        "total": "합계",
        "long": "아주 긴 제목이 붙은 표: 지원받은 기업과 지구에서 20km 밖의 지원받지 않은 기업을 견주어 얻은 값과 그 신뢰구간을 해마다 나누어 적은 것",
        "figure": "고용은 시작 뒤 늘었다",
        "sentence": "고용은 사업으로 기업당 1.89명 늘어난 것으로 추정된다.",
        "remark": "모의 자료로 만든 보고서이다.",
        "note": "칸은 추정값과 95% 신뢰구간이다.",
        "place": "강원",
    },
    "en": {
        "name": "Name",
        "value": "Value",
        "group": "Group",
        "total": "Total",
        "long": "A table with a very long title: values of supported firms against firms beyond 20 km of the zones that "
        "received no support, by year, with their intervals",
        "figure": "Jobs rose after the start",
        "sentence": "The programme is estimated to have raised jobs by 1.89 per firm.",
        "remark": "This report was made from simulated data.",
        "note": "Cells hold the estimate and its 95 % interval.",
        "place": "Gangwon",
    },
}


def _tables(lang: Any, w: Mapping[str, str]) -> list[Tabulation]:
    number = Column(
        "b", w["value"], "number", unit="명/기업·년" if lang == "ko" else "per firm-year", digits=2
    )
    years = tuple(
        Column(f"y{k}", f"{2013 + k}", "number", group=w["group"] + f" {k % 2 + 1}") for k in range(13)
    )
    wide = tuple((f"{w['place']} {r}", *(float(1000 * r + c) for c in range(13))) for r in range(4))
    grouped = (
        Column("a", w["name"]),
        number,
        Column("c", "p", "p_value", group=w["group"]),
        Column("d", "N", "integer", group=w["group"]),
    )
    body = (
        (w["group"] + " 1", None, None, None),
        (w["place"], -1.25, 0.0004, 12),
        (w["group"] + " 2", None, None, None),
        ("<script>alert(1)</script>", 2.5, 0.31, 8),
        (w["total"], 1.25, None, 20),
    )
    roles: Any = ("heading", "body", "heading", "body", "total")
    return [
        Tabulation(
            *("grouped", w["group"], grouped, body),
            roles=roles, notes=(w["note"], w["remark"]), marks={(1, 1): "†"}, lang=lang,
        ),
        Tabulation("wide", w["long"], (Column("a", w["name"]), *years), wide, lang=lang),
        Tabulation("long", f"{w['value']} 40", (Column("a", w["name"]), number), tuple((f"{w['place']} {r}", r / 7) for r in range(60)), lang=lang),
        Tabulation("empty", f"{w['value']} 0", (Column("a", w["name"]), number), (), lang=lang),
        Tabulation("stubless", f"{w['value']} {w['name']}", (Column("a", w["name"]), Column("b", "")), (("x" * 90, w["remark"]),), stub=2, lang=lang),
        Tabulation("sums", w["total"], (Column("a", w["name"]), Column("n", "N", "integer")), ((w["place"], 5), (w["name"], 2), (w["value"], 4), (w["total"], 11)), counts=(5, 2, 4, 11), totals=(Total("row", 3, (0, 1, 2)),), roles=("body", "body", "body", "total"), lang=lang),
    ]  # fmt: skip


def _figure(lang: Any, w: Mapping[str, str]) -> Any:
    columns = {
        "estimate": [0.1, 0.2, 1.0, 1.9],
        "conf_low": [-1.0, -0.5, 0.2, 1.0],
        "conf_high": [1.0, 0.8, 2.0, 2.8],
    }
    frame = pd.DataFrame(
        {**columns, "n_treated": 40, "n_comparison": 90}, index=pd.Index([-2, -1, 0, 1], name="event_time")
    )
    unit = "고용 (명)" if lang == "ko" else "Jobs"
    return figures.event_study(frame, title=w["figure"], ylabel=unit, lang=lang)


def _released(release: Release, lang: str, w: Mapping[str, str]) -> list[Any]:
    cards = [Headline(w["name"], "+1.89", w["sentence"], "3"), Headline(w["value"], "−0.2", w["sentence"])]
    return [
        release.headline(w["name"], "+1.89 [1.31, 2.48]", w["sentence"], 3),
        release.summary_cards(cards),
        *(release.notice(level, w["remark"]) for level in ("note", "caution", "danger")),
        release.text(f"{w['sentence']}\n\n- {w['remark']}\n- **{w['name']}** {w['value']}"),
        *(release.table(table) for table in _tables(lang, w)),
        release.figure(_figure(lang, w)),
    ]


def _cells(lang: str) -> list[dict[str, Any]]:
    w = WORDS[lang]
    outputs: list[dict[str, Any]] = [
        {"output_type": "stream", "name": "stdout", "text": w["sentence"] + " " + "x" * 200}
    ]
    for released in _released(Release(min_firms=3, lang=lang), lang, w):  # type: ignore[arg-type]
        data, metadata = released._repr_mimebundle_()
        outputs.append({"output_type": "display_data", "metadata": metadata, "data": data})
    prose = PROSE[lang].replace("{long}", "https://example.invalid/" + "a" * 120)
    cells: list[dict[str, Any]] = [{"cell_type": "markdown", "id": "m", "metadata": {}, "source": prose}]
    for k, output in enumerate(outputs):
        source = f"panel.show('{'y' * 150}', {k})  # 주석"
        cells.append(
            {"cell_type": "code", "id": f"c{k}", "metadata": {}, "source": source, "outputs": [output]}
        )
    if lang == "en":  # a cell without a translation
        korean = {"lang": "ko"}
        cells.append(
            {
                "cell_type": "markdown",
                "id": "k",
                "metadata": korean,
                "source": "## 번역이 없는 절\n\n한국어 글이다.",
            }
        )
    return cells


def _frame(lang: str, **changes: Any) -> Frame:
    w = WORDS[lang]
    given: dict[str, Any] = {
        "lang": lang,
        "title": PROSE[lang].splitlines()[0][2:],
        "subtitle": w["value"],
        "programme": w["name"] + " " + w["group"],
        "banners": ({"kind": "simulated", "text": w["remark"]},),
        "facts": (("Hash" if lang == "en" else "해시", "abc"), (w["name"], "evalkit 0.1.0 " * 9)),
        "parameters": ({"name": "outcome", "value": "jobs", "comment": w["value"]},),
        "inputs": tuple({"path": f"data/{k}.csv", "bytes": 1234567, "sha256": "ab" * 32} for k in range(9)),
        "deviations": ({"key": "design.base", "before": "0", "after": "1"},),
        "index_href": "index.html",
    }
    return Frame(**(given | changes))


def _page(frame: Frame, content: Any) -> str:
    empty = nbformat.from_dict({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    return render_page(empty, frame, content)


def _context(lang: str) -> dict[str, Any]:
    w = WORDS[lang]
    return {
        "lang": lang,
        "plan": {"id": "small", "title": w["name"] + " " + w["value"], "sha256": "cd" * 32},
        "question": w["sentence"],
        "frozen": None,
        "deviations": [],
        "simulated": True,
        "seed": 1,
        "lock": "ef",
        "inputs": [{"path": "data/a.csv", "bytes": 12, "sha256": "ab" * 32}],
        "code": "ab" * 32,
        "command": ["evalkit", "report", "plans/small.yml"],
        "versions": {"evalkit": "0.1.0", "numpy": "2.4"},
    }


def _record(lang: str, state: str, files: tuple[str, ...] = ()) -> dict[str, Any]:
    w = WORDS[lang]
    sentence = "" if state == "ok" else w["remark"]
    return {"state": state, "title": f"{w['name']} ({state})", "subtitle": w["value"], "headline": w["sentence"], "sentence": sentence, "files": files}  # fmt: skip


@cache
def sample_pages() -> dict[str, str]:
    """Name → HTML of every kind of page."""
    found: dict[str, str] = {}
    for lang in ("ko", "en"):
        frame, w = _frame(lang), WORDS[lang]
        found[f"report_{lang}"] = _page(frame, read_content(_cells(lang), frame, stem="report"))
        failed = _frame(lang, banners=(*frame.banners, {"kind": "failed", "text": w["remark"]}))
        stopped = read_content(_cells(lang)[:6], failed, stem="failed", failure=Failure(4, w["sentence"]))
        found[f"failed_{lang}"] = _page(failed, stopped)
        refused = _frame(lang, banners=({"kind": "refused", "text": w["remark"]},), inputs=(), deviations=())
        found[f"refused_{lang}"] = _page(
            refused, refused_content(refused, DisclosureError("값", where=("셀",), remedy="가릴 것"))
        )
        jobs = [
            ("report", _record(lang, "ok", ("tables/a.csv", "tables/b.xlsx", "figures/c.svg"))),
            ("failed", _record(lang, "failed")),
            ("missing", None),
        ]
        found[f"index_{lang}"] = render_index(_context(lang), jobs)
        plans = [
            ListedPlan("small/index.html", w["name"], w["sentence"], w["sentence"], ("ok", "failed"), True),
            ListedPlan("other/index.html", w["value"], w["sentence"], "", ("missing",), False),
        ]
        found[f"programmes_{lang}"] = render_programmes(
            _context(lang) | {"plan": None}, plans, "programmes/05.html"
        )
    return found
