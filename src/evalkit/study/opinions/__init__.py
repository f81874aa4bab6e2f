"""Second designs beside the leading one: a registry by kind, and one way to ask.

`opinion_of` answers a design of the plan or says why it does not; nothing that the data cannot carry is left out in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from evalkit.errors import DataError, DesignError, EvalkitError, PlanError, RefusalError, UsageError, nearest
from evalkit.present.messages import say
from evalkit.study.opinions.applicants import applicants
from evalkit.study.opinions.dose import dose
from evalkit.study.opinions.gravity import gravity
from evalkit.study.opinions.industries import target_industries, triple_differences
from evalkit.study.opinions.question import Question, Unanswerable
from evalkit.study.opinions.result import Opinion, OpinionRow, Refusal
from evalkit.study.opinions.rings import rings
from evalkit.study.opinions.synthetic import synthetic
from evalkit.study.opinions.tiers import tiers
from evalkit.study.plan_base import Text

if TYPE_CHECKING:
    from evalkit.study.study import Study

HANGUL = re.compile(r"[가-힣]")

REGISTRY: dict[str, Callable[[Question], Opinion]] = {
    "rings": rings,
    "target_industries": target_industries,
    "triple_differences": triple_differences,
    "applicants": applicants,
    "tiers": tiers,
    "dose": dose,
    "synthetic": synthetic,
    "gravity": gravity,
}
"""How each kind of design answers; ``not_identified`` answers nothing."""


def opinion_of(study: Study, name: str) -> Opinion:
    """A second design of the plan, answered or refused.

    Parameters
    ----------
    name : as under ``opinions`` in the plan

    Raises
    ------
    PlanError : the plan has no opinion of that name
    """
    known = study.plan.opinions
    if name not in known:
        raise PlanError(
            f"다른 설계 {name!r} 이(가) 계획에 없음",
            where=(study.plan_path.name, "opinions"),
            remedy=nearest(name, known),
        )
    asked = known[name]
    if asked.outcome is None or asked.design == "not_identified":
        assert asked.reason is not None
        assert asked.needs is not None
        return Opinion(
            name,
            asked.design,
            asked.outcome,
            asked.phase,
            asked.label,
            refusal=Refusal(asked.reason, asked.needs),
        )
    phase = study.plan.phases_of(asked.outcome)[0] if asked.phase is None else asked.phase
    try:
        return REGISTRY[asked.design](Question(study, name, asked, asked.outcome, phase))
    except (DesignError, RefusalError, DataError, UsageError) as error:
        refusal = _refused(asked.design, error)
        return Opinion(name, asked.design, asked.outcome, phase, asked.label, refusal=refusal)


def _refused(kind: str, error: EvalkitError) -> Refusal:
    """The reason in both languages; a fault of an estimator has Korean words only, and the English page says so."""
    if isinstance(error, Unanswerable):
        key = f"study.opinion.refused.{error.code}"
        reason = Text(ko=say(key, "ko", **error.values), en=say(key, "en", **error.values))
    else:
        said = f"{error.problem.rstrip('.')}."
        reason = Text(
            ko=said, en=said if not HANGUL.search(said) else say("study.opinion.refused.other", "en")
        )
    return Refusal(
        reason,
        Text(ko=say(f"study.opinion.needs.{kind}", "ko"), en=say(f"study.opinion.needs.{kind}", "en")),
    )


__all__ = ["REGISTRY", "Opinion", "OpinionRow", "Refusal", "opinion_of"]
