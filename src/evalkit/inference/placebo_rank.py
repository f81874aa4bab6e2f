"""Placebo rank: with one treated cluster, where its effect stands when each cluster in turn takes its adoption date.

Abadie, Diamond & Hainmueller (2010); MacKinnon & Webb (2020), section 3. With G clusters no share below 1/G can arise, so
this ranks and does not decide. Checked against full enumeration in R (golden ri_exact_S4):
tests/reference/test_randomisation.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.permutations import as_large
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.inference.reassigned import two_way_curves
from evalkit.inference.reassignment import reassignments
from evalkit.inference.reestimated import reestimate
from evalkit.inference.refit import Fit
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="placebo_rank",
        name="처치 지역 하나의 위약 순위",
        english="placebo rank of a single treated cluster",
        group="few_treated",
        question="지원 지역 하나의 효과는 다른 지역을 지원 지역으로 꾸몄을 때와 견주어 몇 번째로 큰가?",
        assumptions=("지원이 없었을 때의 경로가 지역 사이에 서로 바꾸어도 좋을 만큼 닮았다.",),
        returns="PlaceboRank: 순위, 지역 수, 지역마다의 위약 효과",
        reference="Abadie, Diamond & Hainmueller (2010); MacKinnon & Webb (2020)",
        oracle=("R 의 완전 열거(ri_exact_S4): tests/reference/test_randomisation.py",),
        refuses="처치 군집이 둘 이상이면 randomisation_test 를 쓴다.",
    ),
)


@dataclass(frozen=True, slots=True)
class PlaceboRank:
    """Where the effect of the only treated cluster stands among placebo effects of the others.

    Attributes
    ----------
    estimate : effect of the treated cluster
    rank : 1 = the largest in size; ties count against the treated cluster
    of : clusters compared, the treated one among them
    share : rank / of, the smallest level at which a two-sided test by rank would reject; at least 1 / of
    treated : label of the treated cluster
    labels, placebos : each cluster as if it had been treated, the treated one with its own effect  # (A,), (A,)
    """

    estimate: float
    rank: int
    of: int
    share: float
    treated: str
    labels: tuple[str, ...]
    placebos: Floats


def placebo_rank(panel: Panel, design: Design, fit: Fit | None = None) -> PlaceboRank:
    """Rank of the effect of the only treated cluster when each cluster in turn takes its adoption date.

    Parameters
    ----------
    panel, design, fit : as in `randomisation_test`

    Raises
    ------
    DesignError : more or fewer than one treated cluster
    """
    if fit is None:
        chosen, curves = two_way_curves(panel, design)
    else:
        chosen = reassignments(panel, design, merge_late=False)
        if int(chosen.treated.sum()) == 1:
            curves = reestimate(panel, design, fit, chosen, null=0.0, shifted=False)
    if int(chosen.treated.sum()) != 1:
        raise DesignError(
            f"처치 군집이 {int(chosen.treated.sum())}개라 한 군집의 위약 순위를 매길 수 없음",
            remedy="randomisation_test 로 재배정할 것",
        )
    values = curves.b + curves.centre * curves.h
    place = np.argmax(np.isfinite(chosen.dates)[chosen.codes.astype(np.int64)], axis=1)
    placebos = np.empty(len(place))
    placebos[place] = values
    rank = int(as_large(curves.estimate, placebos).sum())
    return PlaceboRank(
        estimate=curves.estimate,
        rank=rank,
        of=len(placebos),
        share=rank / len(placebos),
        treated=str(chosen.labels[int(np.argmax(chosen.treated))]),
        labels=tuple(str(label) for label in chosen.labels),
        placebos=placebos,
    )
