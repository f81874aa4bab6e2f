"""The automatic rule: which inference leads. One table, `DECISIONS`, and nothing else.

The rows rest on the Monte Carlo studies M1–M4 of docs/rigour.md (14 and 17 provinces, true null, 5 % tests):

* five or more clusters, also in effective number, on each side: the delete-one-cluster jackknife CV3 with t(G − 1);
* two to four, or fewer than five in effective number, or a cohort that stands on one cluster: CV3 and CV1 are too narrow and
  CR2 with Bell–McCaffrey too wide (below 1 % with two treated). Where the panel is at hand and whole clusters are treated,
  residuals of the comparison clusters rescaled to the size of the treated ones lead (Ferman & Pinto 2019, through the
  weights of the estimator, "FP-v"), for effects as ratios the re-assignment of clusters ("RI"); else the wider of CV3 and
  CR2, which errs on the wide side;
* one: no method tried keeps its size, so that no p-value is given, and what is shown beside is called exploratory.

``covers`` says for which rows a rate of rejection within 3–7 % was found in every design tried; the page says so too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evalkit.errors import UsageError
from evalkit.inference.counts import ClusterCounts

Rule = Literal["auto", "cv3"]
Strength = Literal["nothing", "one", "few", "enough", "many"]
Assignment = Literal["clusters", "within"]
Refitting = Literal["linear", "ratio", "none"]
Lead = Literal["none", "FP-v", "RI", "wider", "CV3", "levels"]

# clusters on a side, also in effective number, from which the jackknife keeps its size
ENOUGH = 5
# clusters from which those of a coarser level are looked at as well, where the plan names them
MANY = 40
# treated clusters larger than this, relative to the others, make FP-v reject too rarely where small clusters vary more
LARGER = 1.5


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the decision table; () in a condition means any.

    Attributes
    ----------
    rule : of the plan
    strength : "nothing", "one", "few", "enough" or "many" clusters on the smaller side: `strength`
    assignment : "clusters" = every cluster is wholly treated or wholly not; "within" = some are both
    refitting : what can be estimated again: a fit that is linear in the outcome, one of ratios, or nothing but the Estimate
    larger : whether the treated clusters are the larger ones
    lead : what leads
    companions : what stands beside it where it can be computed
    covers : rejection of a true null within 3–7 % in every design tried (docs/rigour.md)
    reason : code of the sentence that says why
    """

    rule: Rule
    strength: tuple[Strength, ...]
    assignment: tuple[Assignment, ...]
    refitting: tuple[Refitting, ...]
    larger: tuple[bool, ...]
    lead: Lead
    companions: tuple[str, ...]
    covers: bool
    reason: str


_BOTH = ("CR2", "CV3", "CV1")

DECISIONS: tuple[Row, ...] = (
    Row("auto", ("nothing",), (), (), (), "none", (), False, "no_clusters_on_one_side"),
    Row(
        "auto",
        ("one",),
        (),
        (),
        (),
        "none",
        ("FP-v", "RI", "Hagemann", "CV1"),
        False,
        "one_cluster_on_one_side",
    ),
    Row(
        "auto",
        ("few",),
        ("clusters",),
        ("linear",),
        (False,),
        "FP-v",
        ("RI", *_BOTH),
        True,
        "few_clusters_residuals_lead",
    ),
    Row(
        "auto",
        ("few",),
        ("clusters",),
        ("linear",),
        (True,),
        "FP-v",
        ("RI", *_BOTH),
        False,
        "few_large_clusters_residuals_lead",
    ),
    Row(
        "auto",
        ("few",),
        ("clusters",),
        ("ratio",),
        (),
        "RI",
        _BOTH,
        True,
        "few_clusters_reassignment_leads",
    ),
    Row("auto", ("few",), ("clusters",), ("none",), (), "wider", _BOTH, False, "few_clusters_wider_leads"),
    Row("auto", ("few",), ("within",), (), (), "wider", _BOTH, False, "few_clusters_wider_leads"),
    Row("auto", ("enough",), (), (), (), "CV3", ("WCR-S", *_BOTH), True, "enough_clusters"),
    Row("auto", ("many",), (), (), (), "levels", ("WCR-S", *_BOTH), False, "many_clusters_two_levels"),
    Row("cv3", ("nothing",), (), (), (), "none", (), False, "no_clusters_on_one_side"),
    Row(
        "cv3",
        ("one",),
        (),
        (),
        (),
        "none",
        ("FP-v", "RI", "Hagemann", "CV1"),
        False,
        "one_cluster_on_one_side",
    ),
    Row("cv3", ("few",), (), (), (), "CV3", ("FP-v", "RI", *_BOTH), False, "cv3_by_plan_few_clusters"),
    Row("cv3", ("enough", "many"), (), (), (), "CV3", ("WCR-S", *_BOTH), True, "cv3_by_plan"),
)


def strength(counts: ClusterCounts, *, jackknife: bool = True, coarser: bool = False) -> Strength:
    """How much the smaller side can carry.

    Parameters
    ----------
    jackknife : whether every cluster can be left out; where a cohort stands on one cluster it cannot, and what that
        cluster does is known no better than with few clusters
    coarser : whether a coarser level of clusters stands beside
    """
    if counts.fewest == 0:
        return "nothing"
    if counts.fewest == 1:
        return "one"
    if counts.fewest < ENOUGH or counts.effective_fewest < ENOUGH * (1 - 1e-9) or not jackknife:
        return "few"
    return "many" if coarser and counts.total >= MANY else "enough"


def decide(
    counts: ClusterCounts,
    rule: Rule = "auto",
    *,
    refitting: Refitting = "none",
    jackknife: bool = True,
    coarser: bool = False,
) -> Row:
    """The row of the decision table.

    Parameters
    ----------
    counts : from `evalkit.inference.cluster_counts`, in the sizes that the estimate weighs clusters with
    refitting : "linear" or "ratio" where panel, design and fit are at hand; "none" where there is only the Estimate
    jackknife, coarser : see `strength`

    Raises
    ------
    UsageError : the rule does not exist
    """
    if rule not in ("auto", "cv3"):
        raise UsageError(f"추론 규칙 {rule!r} 은(는) 없음", remedy="auto 또는 cv3 로 적을 것")
    found = strength(counts, jackknife=jackknife, coarser=coarser)
    assignment: Assignment = "clusters" if counts.mixed == 0 else "within"
    larger = counts.size_ratio > LARGER
    for row in DECISIONS:
        if (
            row.rule == rule
            and found in row.strength
            and (not row.assignment or assignment in row.assignment)
            and (not row.refitting or refitting in row.refitting)
            and (not row.larger or larger in row.larger)
        ):
            return row
    raise AssertionError((rule, found, assignment, refitting, larger))
