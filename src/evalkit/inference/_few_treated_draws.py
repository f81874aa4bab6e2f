"""Options of the methods for few treated clusters, what they say of themselves, and draws from comparison clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.residual_paths import TIE, Scales, inverse_sizes
from evalkit.arrays.studentised_paths import Studentised, studentised
from evalkit.errors import DesignError, RefusalError, UsageError, nearest
from evalkit.inference._few_treated_paths import Paths

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Variance = Literal["size", "constant"]
Donors = Literal["all", "comparison"]
Rule = Literal["exact", "plain"]

SEED = 20180301
FEW_DONORS = 10
# spread of sizes, as a share of the largest, under which they are all the same
EQUAL = 1e-9


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller chose, checked.

    Raises
    ------
    UsageError : a level outside (0, 1), fewer than 99 draws, a null that is not finite, a word that is not known
    """

    variance: Variance = "size"
    donors: Donors | None = None
    rule: Rule = "exact"
    draws: int = 9_999
    seed: int = SEED
    level: float = 0.95
    null: float = 0.0

    def __post_init__(self) -> None:
        check_options(self.level, self.draws, self.null)
        known_word("variance", self.variance, get_args(Variance))
        known_word("rule", self.rule, get_args(Rule))
        known_word("donors", self.donors or "all", get_args(Donors))


def check_options(level: float, draws: int, null: float = 0.0) -> None:
    """Level in (0, 1), at least 99 draws, a finite null.

    Raises
    ------
    UsageError : any of them is not
    """
    if not 0 < level < 1:
        raise UsageError(f"신뢰수준 {level!r} 은(는) 0과 1 사이가 아님", remedy="0.95 처럼 적을 것")
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 99:
        raise UsageError(f"추출 횟수 {draws!r} 이(가) 너무 적음", remedy="적어도 99, 보통 9999 로 적을 것")
    if not np.isfinite(null):
        raise UsageError(f"귀무가설의 값 {null!r} 이(가) 유한한 수가 아님", remedy="0 처럼 적을 것")


def known_word(what: str, word: str, words: tuple[str, ...]) -> None:
    """Raises UsageError where the word is not among those known."""
    if word not in words:
        raise UsageError(f"{what} 값 {word!r} 은(는) 쓸 수 없음", remedy=nearest(str(word), words))


def needed(level: float, draws: int) -> int:
    """Smallest number of draws as far as the estimate with which (1 + number)/(draws + 1) is not under 1 − level."""
    return max(0, math.ceil((1 - level) * (draws + 1) * (1 - TIE)) - 1)


def remarks(paths: Paths, donors: int) -> list[str]:
    """Codes: one treated cluster, few donors, fewer comparison than treated clusters, equal sizes."""
    treated = int(paths.treated.sum())
    notes = list(paths.notes)
    if treated == 1:
        notes.append("one_treated_cluster")
    if donors < FEW_DONORS:
        notes.append("few_donors")
    if len(paths.treated) - treated < treated:
        notes.append("fewer_comparison_than_treated")
    return notes


def sizes_differ(paths: Paths, variance: Variance) -> tuple[bool, list[str]]:
    """Whether a law in the size can be fitted, and a note where it was asked for in vain."""
    if variance == "constant":
        return False, []
    equal = float(np.ptp(paths.size)) <= EQUAL * float(paths.size.max())
    return not equal, (["equal_sizes"] if equal else [])


def facts(paths: Paths, law: Floats, q: Floats, donors: Codes, rule: str) -> dict[str, Any]:
    """The part of ``detail`` that all of them share."""
    treated = paths.treated
    return {
        "law": [float(part) for part in law],
        "q": q,
        "labels": [str(label) for label in paths.labels],
        "donors": [str(label) for label in paths.labels[donors]],
        "treated": int(treated.sum()),
        "comparison": int((~treated).sum()),
        "rule": rule,
    }


def shape_of(law: Floats, by_size: bool) -> list[str]:
    """A note where one coefficient of the law is 0."""
    if not by_size:
        return []
    return ["law_constant"] if law[1] == 0 else ["law_inverse_size"] if law[0] == 0 else []


def studentised_of(paths: Paths, terms: Codes, by_size: bool, options: Options) -> tuple[Studentised, Codes]:
    """Studentised draws from the comparison clusters, and their positions.

    Raises
    ------
    DesignError : fewer than three comparison clusters
    RefusalError : their residuals are all 0
    """
    donors = np.flatnonzero(~paths.treated)
    if len(donors) < 3:
        raise DesignError(
            f"지원받지 않은 군집이 {len(donors)}개뿐이어서 그 잔차만으로는 오차의 크기를 알 수 없음",
            remedy='비교 군집을 셋 이상으로 넓히거나 ferman_pinto 를 donors="all" 로 쓸 것',
        )
    z = inverse_sizes(paths.size) if by_size else np.ones(len(paths.size))
    scales = Scales(z, donors, by_size, options.rule)
    found = studentised(paths.weights[terms], paths.outcomes, scales, options.draws, [options.seed, 2])
    if not (found.errors > 1e-12 * np.abs(paths.outcomes).max()).all():
        raise RefusalError(
            "비교 군집의 잔차가 모두 0이어서 오차의 크기를 알 수 없음",
            remedy="결과 변수가 계산으로 만든 값인지 확인할 것",
        )
    return found, donors
