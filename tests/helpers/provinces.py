"""Panels of provinces with no effect in them: Korean sizes, shocks that last, and which provinces are treated."""

from __future__ import annotations

import numpy as np

from evalkit.panel import Panel

# registered population in ten thousands, 2023, by 행정안전부 주민등록 인구통계; the order of the province codes
POPULATION = {
    "서울": 939,
    "부산": 329,
    "대구": 237,
    "인천": 300,
    "광주": 142,
    "대전": 144,
    "울산": 110,
    "세종": 39,
    "경기": 1363,
    "강원": 153,
    "충북": 159,
    "충남": 213,
    "전북": 175,
    "전남": 180,
    "경북": 255,
    "경남": 325,
    "제주": 68,
}
CAPITAL = ("서울", "인천", "경기")
PERIODS, BEFORE, PERSISTENCE = 10, 5, 0.6


def sizes(provinces: int) -> np.ndarray:
    """Sizes over their mean of the 14 non-capital provinces, or of all 17  # (G,)"""
    held = [n for name, n in POPULATION.items() if provinces == 17 or name not in CAPITAL]
    out = np.array(held, dtype=np.float64)
    assert len(out) == provinces
    return out / out.mean()


def shocks(rng: np.random.Generator, provinces: int, *, law: str = "normal") -> np.ndarray:
    """Stationary AR(0.6) paths with normal or t(3) innovations  # (G, T)"""
    draw = (
        rng.standard_normal((provinces, PERIODS))
        if law == "normal"
        else rng.standard_t(3, (provinces, PERIODS)) / np.sqrt(3)
    )
    path = np.empty_like(draw)
    path[:, 0] = draw[:, 0] / np.sqrt(1 - PERSISTENCE**2)
    for t in range(1, PERIODS):
        path[:, t] = PERSISTENCE * path[:, t - 1] + draw[:, t]
    return path


def world(
    rng: np.random.Generator,
    provinces: int,
    treated: int,
    *,
    law: str = "normal",
    variance: str = "equal",
    who: str = "random",
) -> Panel:
    """One panel: outcome y, adoption in the sixth period, sizes.

    Parameters
    ----------
    variance : "equal", "size" (∝ 1/size) or "free" (a lognormal scale of each province)
    who : "random", "smallest" or "largest" provinces are treated
    """
    size = sizes(provinces)
    y = shocks(rng, provinces, law=law)
    if variance == "size":
        y = y / np.sqrt(size)[:, None]
    elif variance == "free":
        y = y * np.exp(0.5 * rng.standard_normal((provinces, 1)))
    order = (
        rng.permutation(provinces)
        if who == "random"
        else np.argsort(size if who == "smallest" else -size, kind="stable")
    )
    adoption = np.full(provinces, np.inf)
    adoption[order[:treated]] = BEFORE
    return Panel(
        np.arange(provinces),
        np.arange(PERIODS),
        {"y": y},
        {"adoption": adoption, "size": size, "province": np.arange(provinces)},
    )


def firms(rng: np.random.Generator, provinces: int, *, supported_in: int, per: int = 20) -> Panel:
    """Firms of provinces, some supported and some not in the same province; shocks common to a province, to the supported
    firms of a province, and a firm's own. `supported_in` provinces have supported firms, between a fifth and four fifths."""
    province = np.repeat(np.arange(provinces), per)
    share = rng.uniform(0.2, 0.8, provinces)
    rank = np.tile(np.arange(per), provinces)
    on = (rank < np.round(share[province] * per)) & (province < supported_in)
    common, own = shocks(rng, provinces), shocks(rng, provinces)
    y = common[province] + 0.5 * own[province] * on[:, None] + shocks(rng, len(province))
    return Panel(
        np.arange(len(province)),
        np.arange(PERIODS),
        {"y": y},
        {"adoption": np.where(on, float(BEFORE), np.inf), "province": province},
    )
