"""시·도 보고서: where. Zones and rings of the province, when its firms were supported, and the other provinces."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.ingest import regions
from evalkit.present import figures
from evalkit.present.messages import number, p_value, say
from evalkit.programmes import place_name
from evalkit.study.firms import RING_KM
from evalkit.study.firms_places import BANDS
from evalkit.study.pages.showing import outcome_label, release_of, show, unit_of
from evalkit.study.regional import Regional
from evalkit.study.regional_effect import fewest
from evalkit.study.study import Study

RINGS = tuple(float(high) for _, high in BANDS)


def compared_km(study: Study) -> float:
    """Kilometres from a zone beyond which unsupported firms are compared."""
    return float(study.plan.units.options.get("ring_km", RING_KM))


def supported_words(study: Study, found: Regional) -> str:
    """Such as «2018–19년 5곳, 2020년 9곳»: years join their neighbours until a group may be shown; empty = none may."""
    least = fewest(study.plan)
    groups: list[tuple[int, int, int]] = []
    first, count = None, 0
    for year, firms in sorted(found.supported.items()):
        first, count = (year if first is None else first), count + firms
        if count >= least:
            groups.append((first, year, count))
            first, count = None, 0
    if count and groups:  # what is left over joins the last group
        start, _, firms = groups.pop()
        groups.append((start, max(found.supported), firms + count))
    return ", ".join(
        say(
            "study.region.year_firms" if start == end else "study.region.years_firms",
            study.lang,
            start=start,
            end=end,
            firms=number(firms),
        )
        for start, end, firms in groups
    )


def zones_figure(study: Study, found: Regional) -> None:
    """Municipalities of the province by ring around its zones; or that the data do not say."""
    lang = study.lang
    if found.places is None:
        show(release_of(study).text(say("study.region.no_places", lang)))
        return
    table = regions.municipalities("2018-12-31").set_index("code")["sigungu"]
    listed = found.places.rows
    rows = [
        {
            "label": str(table.get(code, code)),
            "km": float(km),
            "zone": bool(zone),
            "line": f"{since:.0f}–" if np.isfinite(since) else "",
        }
        for code, km, zone, since in zip(
            *(listed[c].tolist() for c in ("code", "km", "zone", "since")), strict=True
        )
    ]
    zones = int(listed["zone"].sum())
    far = int((~listed["zone"] & (listed["km"] > compared_km(study))).sum())
    drawing = figures.region_zones(
        rows,
        RINGS,
        title=say(
            "study.region.zones_title" if far else "study.region.zones_title_none",
            lang,
            region=place_name(found.region, lang),
            zones=number(zones),
            far=number(far),
            km=number(compared_km(study)),
        ),
        compared_km=compared_km(study),
        name=f"zones_{found.phase}",
        note=say("study.region.zones_note", lang),
        lang=lang,
    )
    show(release_of(study).figure(drawing))


def national_row(study: Study, found: Regional) -> dict[str, float]:
    """The plan's effect over all provinces in the natural unit."""
    row = {k: float(v) for k, v in found.national.items() if k != "n"}
    if study.plan.outcomes[found.outcome].scale == "log":
        for name in ("estimate", "conf_low", "conf_high"):
            row[name] = float(100 * np.expm1(row[name]))
    return row


def forest(study: Study, found: Regional) -> None:
    """All provinces with this one marked."""
    lang = study.lang
    rows, equal = found.beside.rows, found.beside.chance
    columns = ["estimate", "conf_low", "conf_high", "all_low", "all_high", "n"]
    names = [name for name in regions.PROVINCES if name in {*rows.index, *found.beside.refused, found.region}]
    frame = pd.DataFrame(rows.reindex(names)[columns], dtype=float)
    spread = None if equal is None else (equal.lowest, equal.highest)
    if study.plan.outcomes[found.outcome].scale == "log":
        frame[columns[:-1]] = 100 * np.expm1(frame[columns[:-1]])
        spread = None if spread is None else (100 * np.expm1(spread[0]), 100 * np.expm1(spread[1]))
    if rows.empty:
        show(release_of(study).text(say("study.region.no_others", lang)))
        return
    frame.index = pd.Index([place_name(name, lang) for name in names])
    differ = equal is not None and equal.p_value < 1 - study.plan.inference.level
    drawing = figures.region_forest(
        frame,
        marked=place_name(found.region, lang),
        title=say(
            "study.region.forest_differ" if differ else "study.region.forest_alike",
            lang,
            outcome=outcome_label(study, found.outcome),
            p="" if equal is None else p_value(equal.p_value),
        ),
        xlabel=f"{outcome_label(study, found.outcome)} ({unit_of(study, found.outcome)})",
        chance=spread,
        overall=national_row(study, found),
        overall_label=say("study.region.way_national_short", lang),
        unit=unit_of(study, found.outcome),
        level=study.plan.inference.level,
        name=f"provinces_{found.outcome}_{found.phase}",
        lang=lang,
    )
    show(release_of(study).figure(drawing))
