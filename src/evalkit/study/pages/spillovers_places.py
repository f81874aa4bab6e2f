"""파급과 전치: where the zones and the rings lie. Provinces as squares, municipalities of each counted by ring."""

from __future__ import annotations

from typing import Any

import numpy as np

from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import number, say
from evalkit.programmes import ENGLISH, place_name
from evalkit.study.outcomes.rings import Spillovers
from evalkit.study.pages.region_places import compared_km
from evalkit.study.pages.showing import release_of, show
from evalkit.study.study import Study

CAPITAL = ("서울", "인천", "경기")


def zones_map(study: Study, found: Spillovers) -> None:
    """Municipalities with a zone, in the rings, and beyond them; nothing where the plan's data do not say."""
    lang, phase = study.lang, found.effect.phase
    counts = ring_counts(study, phase)
    if not counts:
        return
    near, zones, far = (sum(row[part] for row in counts.values()) for part in ("near", "zone", "far"))
    km = number(compared_km(study))
    rows: list[dict[str, Any]] = [
        {
            "province": name,
            "label": place_name(name, lang),
            "treated": counts.get(name, {}).get("zone", 0) > 0,
            "capital": name in CAPITAL,
            "lines": _lines(counts[name], km, lang) if name in counts else (),
        }
        for name in ENGLISH
    ]
    drawing = figures.region_map(
        rows,
        title=say(
            "study.ring.title_map",
            lang,
            zones=number(zones),
            near=number(near),
            far=number(far),
            km=km,
        ),
        name=f"zones_and_rings_{phase}",
        note=say("study.ring.note_map", lang),
        lang=lang,
    )
    show(release_of(study).figure(drawing))


def ring_counts(study: Study, phase: int) -> dict[str, dict[str, int]]:
    """Municipalities by province: with a zone of the phase, within the rings, beyond; empty where the data do not say.

    Municipalities that the plan leaves out of every comparison do not count.
    """
    if "regions" not in study.plan.units.groups:
        return {}
    try:
        panel = study.panel("regions")
    except EvalkitError:
        return {}
    name = next((f"km_phase{p}" for p in (phase, phase - 1) if f"km_phase{p}" in panel.fixed), None)
    if name is None or "sido" not in panel.fixed:
        return {}
    home = np.asarray(panel.constant("sido")).astype(str)
    km = np.asarray(panel.constant(name), dtype=np.float64)
    zone = panel.constant(f"zone_{name.removeprefix('km_')}").astype(str) == "1"
    used = np.isfinite(km) & ~np.isin(home, CAPITAL)
    far = ~zone & (km > compared_km(study))
    return {
        str(province): {
            "zone": int((zone & here).sum()),
            "near": int((~zone & ~far & here).sum()),
            "far": int((far & here).sum()),
        }
        for province in np.unique(home[used])
        for here in (used & (home == province),)
    }


def _lines(row: dict[str, int], km: str, lang: str) -> tuple[str, ...]:
    return tuple(
        say(f"study.ring.map_{part}", lang, count=number(row[part]), km=km)
        for part in ("zone", "near", "far")
    )
