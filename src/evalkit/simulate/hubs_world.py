"""A world of 시·군·구 × years for a programme that picks a few sites among those that apply; the truth is known.

229 시·군·구 of 2018, year t = 2016 … 2026. The four sites are the published ones (부산 해운대구, 대구 수성구 in 2023; 충북 청주시,
경남 창원시 in 2024) and so are the numbers of applicants (ten, then nine). *Which* applicants were rejected was never
published: the nine here are drawn, one a 시·도, and mean nothing.

- digital jobs   log y_it(0) = a_i + g_i·(t − 2016) + b_pt + ε_it;  b_pt AR(.7) sd .015, ε AR(.5) sd .025
- who applies    growth g_i ~ N(.02, .01²) elsewhere; of applicants, chosen or not, N(.055, .008²): who applies was growing
  already, and went on growing. Against all municipalities this trend passes for an effect; against rejected applicants not
- programme      log effect .05, .09, .12, .14 from the year of selection on; three tenths of the added jobs come from other
  municipalities of the same 시·도 that did not apply, in proportion to their size
- digital firms  jobs / 11 with shocks of their own and .7 of the effects

What identifies the effect: chosen and rejected applicants would have grown alike.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import ParameterError, UsageError
from evalkit.ingest.regions import CAPITAL, municipalities

Floats = NDArray[np.float64]
YEARS = np.arange(2016, 2027)
SITES: dict[str, tuple[int, str]] = {
    "26350": (2023, "센텀시티"),
    "27260": (2023, "수성알파시티"),
    "43110": (2024, "오창 과학산업단지"),
    "48120": (2024, "창원 디지털 혁신밸리"),
}
"""Code of 2018 -> year of selection and name of the site, as published."""

APPLIED = {2023: 10, 2024: 9}
NEVER_APPLIED = "세종"
REJECTED_ONCE_OR_TWICE = 9
PATH = (0.05, 0.09, 0.12, 0.14)
REALLOCATED = 0.3
FIRM_SHARE = 0.7
NOTICE = "모의자료_안내.txt"


@dataclass(frozen=True, slots=True, eq=False)
class HubsTruth:
    """Effects as differences of potential outcomes: one row a site and event time (``jobs, firms`` in logs, ``persons``)."""

    sites: pd.DataFrame

    def mean(self, what: str, horizon: int = 2) -> float:
        """Mean over event times 0..horizon, each over the sites that have it, in log points.

        Raises
        ------
        UsageError : neither jobs nor firms
        """
        if what not in ("jobs", "firms"):
            raise UsageError(f"모의 세계에 참값 {what!r} 이(가) 없음", remedy="jobs 또는 firms")
        inside = self.sites[(self.sites["event_time"] >= 0) & (self.sites["event_time"] <= horizon)]
        return float(inside.groupby("event_time")[what].mean().mean())


@dataclass(frozen=True, slots=True, eq=False)
class HubsWorld:
    """Arrays of municipalities × years (229, 11), who was chosen or rejected, and the truth."""

    seed: int
    effect: float
    codes: NDArray[np.str_]
    names: NDArray[np.str_]
    sido: NDArray[np.str_]
    adoption: Floats
    rejected: NDArray[np.bool_]
    jobs: Floats
    firms: Floats
    truth: HubsTruth


def hubs_world(seed: int, *, effect: float = 1.0) -> HubsWorld:
    """Draw a world.

    Parameters
    ----------
    seed : the same seed gives the same world
    effect : factor on the effects of the programme; 0 = a world in which it did nothing

    Raises
    ------
    ParameterError : a seed below zero
    """
    if seed < 0:
        raise ParameterError(f"씨앗 {seed} 이(가) 0 보다 작음", remedy="0 이상의 정수로 적을 것")
    rng = np.random.default_rng([seed, 63])
    table = municipalities("2018-12-31", level="city")
    codes, names, sido = (table[column].to_numpy(dtype=str) for column in ("code", "sigungu", "sido"))
    adoption = np.array([float(SITES[code][0]) if code in SITES else np.inf for code in codes])
    size = np.exp(rng.normal(7.2, 0.7, len(codes)))
    size[np.isin(sido, CAPITAL)] *= 4.0
    size[np.isfinite(adoption)] = np.exp(rng.normal(8.6, 0.2, len(SITES)))
    rejected = _rejected(rng, sido, adoption)
    size[rejected] = np.exp(rng.normal(8.5, 0.2, int(rejected.sum())))
    applied = rejected | np.isfinite(adoption)
    jobs0 = np.exp(_untreated(rng, size, sido, applied))
    event = YEARS[None, :] - np.where(np.isfinite(adoption), adoption, 9999.0)[:, None]
    path = np.array(PATH)[np.clip(event, 0, len(PATH) - 1).astype(int)]
    lift = effect * np.where(event >= 0, path, 0.0)
    jobs1 = _reallocated(jobs0, lift, sido, applied)
    firms0 = jobs0 / 11.0 * np.exp(_ar(rng, jobs0.shape, 0.5, 0.015))
    firms1 = firms0 * np.exp(FIRM_SHARE * (np.log(jobs1) - np.log(jobs0)))
    return HubsWorld(
        seed=seed,
        effect=effect,
        codes=codes,
        names=names,
        sido=sido,
        adoption=adoption,
        rejected=rejected,
        jobs=np.maximum(np.round(jobs1), 1.0),
        firms=np.maximum(np.round(firms1), 1.0),
        truth=_truth(codes, adoption, jobs0, jobs1, firms0, firms1),
    )


def _ar(rng: np.random.Generator, shape: tuple[int, ...], rho: float, sd: float) -> Floats:
    """Stationary AR(1) along the last axis."""
    out = np.empty(shape)
    out[..., 0] = rng.normal(0, sd, shape[:-1])
    for t in range(1, shape[-1]):
        out[..., t] = rho * out[..., t - 1] + rng.normal(0, sd * np.sqrt(1 - rho**2), shape[:-1])
    return out


def _rejected(rng: np.random.Generator, sido: NDArray[np.str_], adoption: Floats) -> NDArray[np.bool_]:
    """One municipality in each of nine 시·도 outside the capital region that have no site."""
    taken = {*CAPITAL, NEVER_APPLIED, *sido[np.isfinite(adoption)]}
    free = [name for name in dict.fromkeys(sido.tolist()) if name not in taken]
    out = np.zeros(len(sido), dtype=bool)
    for name in free[:REJECTED_ONCE_OR_TWICE]:
        out[int(rng.choice(np.flatnonzero(sido == name)))] = True
    return out


def _untreated(
    rng: np.random.Generator, size: Floats, sido: NDArray[np.str_], applied: NDArray[np.bool_]
) -> Floats:
    growth = np.where(applied, rng.normal(0.055, 0.008, len(size)), rng.normal(0.02, 0.01, len(size)))
    names, code = np.unique(sido, return_inverse=True)
    province = _ar(rng, (len(names), len(YEARS)), 0.7, 0.015)[code]
    return np.asarray(
        np.log(size)[:, None]
        + growth[:, None] * (YEARS - YEARS[0])
        + province
        + _ar(rng, (len(size), len(YEARS)), 0.5, 0.025)
    )


def _reallocated(jobs0: Floats, lift: Floats, sido: NDArray[np.str_], applied: NDArray[np.bool_]) -> Floats:
    """Jobs with the programme: what sites gain, and what the rest of their 시·도 loses of it."""
    gained = jobs0 * np.expm1(lift)
    lost = np.zeros(jobs0.shape)
    for name in np.unique(sido[(lift > 0).any(axis=1)]):
        own = sido == name
        others = np.where((own & ~applied)[:, None], jobs0, 0.0)
        lost += REALLOCATED * gained[own].sum(axis=0) * others / others.sum(axis=0)
    return np.asarray(jobs0 + gained - lost)


def _truth(
    codes: NDArray[np.str_], adoption: Floats, jobs0: Floats, jobs1: Floats, firms0: Floats, firms1: Floats
) -> HubsTruth:
    rows = [
        {
            "code": str(codes[i]),
            "cohort": int(adoption[i]),
            "event_time": int(year - adoption[i]),
            "jobs": float(np.log(jobs1[i, t] / jobs0[i, t])),
            "firms": float(np.log(firms1[i, t] / firms0[i, t])),
            "persons": float(jobs1[i, t] - jobs0[i, t]),
        }
        for i in np.flatnonzero(np.isfinite(adoption))
        for t, year in enumerate(YEARS)
    ]
    return HubsTruth(pd.DataFrame(rows))


# -- files ---------------------------------------------------------------------------------------------


def write_hubs(world: HubsWorld, raw_folder: str | Path, truth_folder: str | Path) -> tuple[Path, ...]:
    """The files as an evaluator would get them, and elsewhere the truth; the same world gives the same bytes.

    Raises
    ------
    UsageError : the truth would lie where the readers look
    """
    raw, truth = Path(raw_folder), Path(truth_folder)
    if truth.resolve().is_relative_to(raw.resolve()):
        raise UsageError(
            "참값 폴더가 원자료 폴더 안에 있음", where=(truth.name,), remedy="원자료 폴더 밖의 폴더를 줄 것"
        )
    summary = {
        "seed": world.seed,
        "effect": world.effect,
        "unit": "로그 (0.01 ≈ 1 %)",
        "event_times_0_2": {name: world.truth.mean(name) for name in ("jobs", "firms")},
    }
    notice = (
        "이 폴더의 파일은 evalkit 이 만든 모의 자료입니다. 수치는 모두 지어낸 것이며 실제와 무관합니다.\n"
        "선정된 네 곳은 발표 자료의 것이지만, 탈락한 곳은 발표된 적이 없어 아무렇게나 뽑은 것입니다.\n"
    )
    return (
        _save(raw / "시군구디지털" / "시군구_디지털_2016_2026.csv", figures_file(world)),
        _save(raw / "혁신거점" / "디지털혁신거점_신청지역.csv", applicants_file(world)),
        _save(raw / NOTICE, notice),
        _save(truth / "truth.json", json.dumps(summary, ensure_ascii=False, indent=1) + "\n"),
        _save(truth / "sites.csv", _csv(world.truth.sites)),
    )


def figures_file(world: HubsWorld) -> str:
    """시·군·구 × year: digital firms and the jobs in them, codes of 2018."""
    i, t = np.indices(world.jobs.shape).reshape(2, -1)
    return _csv(
        pd.DataFrame(
            {
                "시군구코드": world.codes[i],
                "시도": world.sido[i],
                "시군구": world.names[i],
                "연도": YEARS[t],
                "디지털기업수": world.firms.ravel().astype(int),
                "디지털고용": world.jobs.ravel().astype(int),
            }
        )
    )


def applicants_file(world: HubsWorld) -> str:
    """Sites with the year of selection, and rejected applicants without one."""
    rows: list[tuple[str, ...]] = [
        (code, world.sido[i], world.names[i], name, "선정", str(year), "발표 자료(선정 지역)")
        for code, (year, name) in SITES.items()
        for i in np.flatnonzero(world.codes == code)
    ]
    rows += [
        (world.codes[i], world.sido[i], world.names[i], "", "탈락", "", "모의값: 탈락 지역은 발표되지 않음")
        for i in np.flatnonzero(world.rejected)
    ]
    return _csv(
        pd.DataFrame(rows, columns=["시군구코드", "시도", "시군구", "명칭", "구분", "시작연도", "출처"])
    )


def _csv(frame: pd.DataFrame) -> str:
    held = StringIO()
    frame.to_csv(held, index=False, float_format="%.10g", lineterminator="\n")
    return held.getvalue()


def _save(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_bytes(text.encode("utf-8"))
    draft.replace(path)
    return path


__all__ = ["HubsTruth", "HubsWorld", "applicants_file", "figures_file", "hubs_world", "write_hubs"]
