"""패널 분석: the classic regressions as one conventional table, columns side by side."""

from __future__ import annotations

from evalkit.estimate import Estimate
from evalkit.present.messages import say
from evalkit.present.regression_tables import regression_table
from evalkit.study.outcomes.panel_methods import PanelMethods
from evalkit.study.pages.showing import of_firms, release_of, result_label, show, unit_of
from evalkit.study.study import Study

COLUMNS = ("pooled", "between", "random", "within", "two_way", "first_difference")
UNIT_EFFECTS = {"random": "random", "within": "yes", "two_way": "yes", "first_difference": "differenced"}
PERIOD_EFFECTS = {"two_way": "yes", "between": "not_applicable"}


def scale_unit(study: Study, found: PanelMethods) -> str:
    """Unit of the estimation: of logarithms it is log points."""
    if found.effect.scale == "log":
        return say("study.methods.log_points", study.lang)
    return unit_of(study, found.effect.outcome)


def regressions_table(study: Study, found: PanelMethods) -> None:
    """Pooled, between, random, within, two-way and first-difference regressions: coefficient, error, interval, what is in it."""
    lang, effect = study.lang, found.effect
    by_name = {method.name: method.found for method in found.methods}
    known = [(name, fit) for name in COLUMNS if isinstance(fit := by_name.get(name), Estimate)]
    if not known:
        return
    labels = [f"({at}) {say(f'study.methods.short_{name}', lang)}" for at, (name, _) in enumerate(known, 1)]
    names = {label: name for label, (name, _) in zip(labels, known, strict=True)}
    estimates = {label: fit for label, (_, fit) in zip(labels, known, strict=True)}
    extra: dict[str, dict[str, str | int]] = {
        say(f"study.methods.line_{line}", lang): {
            label: say(f"study.methods.has_{codes.get(name, 'no')}", lang) for label, name in names.items()
        }
        for line, codes in (("unit_effects", UNIT_EFFECTS), ("period_effects", PERIOD_EFFECTS))
    }
    extra[say("study.methods.line_observations", lang)] = {
        label: _observations(found, name) for label, name in names.items()
    }
    table = regression_table(
        estimates,
        terms={_term(known[0][1]): say("study.methods.line_treatment", lang, unit=scale_unit(study, found))},
        below=("std_error", "interval", "p_value"),
        extra=extra,
        level=study.plan.inference.level,
        name=f"regressions_{effect.outcome}_{effect.phase}",
        title=say(
            "study.methods.table_regressions", lang, result=result_label(study, effect.outcome, effect.phase)
        ),
        notes=(say("study.methods.note_regressions", lang), say("study.methods.note_clustered", lang)),
        firms=of_firms(study, effect.outcome),
        lang=lang,
    )
    show(release_of(study).table(table))


def _term(estimate: Estimate) -> str:
    """How the one term of these estimates is called by the table."""
    label = estimate.terms[0]
    return " · ".join(str(part) for part in label) if isinstance(label, tuple) else str(label)


def _observations(found: PanelMethods, name: str) -> int:
    """Rows of a regression on a balanced sample: unit means, differences, or unit-years."""
    if name == "between":
        return found.units
    return found.units * (found.periods - 1 if name == "first_difference" else found.periods)
