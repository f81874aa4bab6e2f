"""What is estimated, against whom, in how many clusters, and which inference will lead."""

from __future__ import annotations

import numpy as np

from evalkit.present.messages import few_cluster_line, number, say
from evalkit.present.phrases import reworded
from evalkit.present.tabulation import Column, Role, Tabulation, Total
from evalkit.study.pages.flow import flow_figure
from evalkit.study.pages.quantities import ALL, SIDES, firms_key
from evalkit.study.pages.showing import (
    firms_behind,
    group_words,
    release_of,
    show,
    unit_of,
    variable_words,
)
from evalkit.study.planning import Planning
from evalkit.study.regional_effect import PROVINCE
from evalkit.study.study import Study

MOST_CLUSTERS = 20


def estimand(study: Study, planned: Planning) -> None:
    """Population, contrast, horizon, scale and estimator."""
    lang, plan = study.lang, study.plan
    asked, design = plan.outcomes[planned.outcome], plan.design
    covariates = ", ".join(
        dict.fromkeys(variable_words(study, name) for name in planned.sample.design.covariates)
    )
    cohorts = plan.phases[planned.phase].cohorts
    rows = (
        (
            "population",
            say(
                "study.design.population_is",
                lang,
                years="–".join(map(str, dict.fromkeys(cohorts))),
                treated_label=group_words(study, planned.outcome, "treated"),
                treated=number(planned.n_treated),
            ),
        ),
        (
            "contrast",
            say(
                "study.design.contrast_is" if design.comparison == "never" else "study.design.contrast_later",
                lang,
                comparison_label=group_words(study, planned.outcome, "comparison"),
                comparison=number(planned.n_comparison),
            ),
        ),
        (
            "horizon",
            say(
                "study.design.horizon_is",
                lang,
                years=number(plan.horizon + 1),
                base=planned.sample.baseline,
                anticipation=number(design.anticipation),
            ),
        ),
        ("scale", say(f"study.design.scale_{asked.scale}", lang, unit=unit_of(study, planned.outcome))),
        (
            "method",
            say(
                "study.design.method_is",
                lang,
                method=say(f"study.method.{design.method if covariates else 'reg'}", lang),
                covariates=covariates or say("study.design.none", lang),
            ),
        ),
    )
    table = Tabulation(
        name=f"estimand_{planned.outcome}_{planned.phase}",
        title=say("study.table.estimand", lang),
        columns=(Column("part", say("table.item", lang)), Column("what", say("table.value", lang))),
        rows=tuple((say(f"study.design.{part}", lang), words) for part, words in rows),
        lang=lang,
    )
    show(release_of(study).table(table))


def sample_flow(study: Study, planned: Planning) -> None:
    """From all units to the sample, drawn; the table is folded under the figure."""
    name = f"design_flow_{planned.outcome}_{planned.phase}"
    flow_figure(study, planned.sample, planned.outcome, name, planned.phase)


def clusters(study: Study, planned: Planning) -> None:
    """How many clusters there are, which inference leads and why, and whether it keeps its size."""
    lang = study.lang
    cluster = say(f"study.cluster.{study.plan.inference.cluster}", lang)
    lines = [few_cluster_line(planned.counts, lang, cluster=cluster)]
    sides = (planned.counts.effective_treated, planned.counts.effective_comparison)
    if np.isfinite(sides).all():
        lines.append(
            say(
                "study.design.effective",
                lang,
                treated=number(sides[0], 1),
                comparison=number(sides[1], 1),
            )
        )
    lines.append(say("study.design.will_lead", lang))
    lines.append(say(f"study.rule.{planned.row.reason}", lang))
    if planned.row.lead != "none":
        lines.append(say("study.rule.covered" if planned.row.covers else "study.rule.not_covered", lang))
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))


def by_cluster(study: Study, planned: Planning) -> None:
    """Treated and comparison units of each cluster; nothing where there are very many."""
    lang, sample = study.lang, planned.sample
    codes, labels = sample.panel.clusters(sample.design.cluster)
    if len(labels) > MOST_CLUSTERS:
        return
    treated = np.bincount(codes[sample.treated], minlength=len(labels))
    comparison = np.bincount(codes[sample.comparison], minlength=len(labels))
    words = [reworded(str(label), lang) for label in labels]
    rows = [(w, int(a), int(b)) for w, a, b in zip(words, treated, comparison, strict=True)]
    rows.append((say("study.design.total_row", lang), int(treated.sum()), int(comparison.sum())))
    cluster = say(f"study.cluster.{study.plan.inference.cluster}", lang)
    roles: list[Role] = ["body"] * (len(rows) - 1)
    roles.append("total")
    counts = [(None, *(firms_behind(study, planned.outcome, n) for n in row[1:])) for row in rows]
    one = study.plan.inference.cluster
    places = [str(label) if one == PROVINCE else f"{one}={label}" for label in labels]
    keys = {
        (r, c): firms_key(planned.outcome, planned.phase, place, side)
        for r, place in enumerate((*places, ALL))
        for c, side in enumerate(SIDES, 1)
    }
    table = Tabulation(
        name=f"by_cluster_{planned.outcome}_{planned.phase}",
        title=say("study.table.by_cluster", lang, cluster=cluster),
        columns=(
            Column("cluster", cluster),
            Column("treated", say("table.n_treated", lang), "integer"),
            Column("comparison", say("table.n_comparison", lang), "integer"),
        ),
        rows=tuple(rows),
        counts=tuple(counts),
        totals=(Total("row", len(rows) - 1, tuple(range(len(rows) - 1))),),
        keys=keys,
        roles=roles,
        lang=lang,
    )
    show(release_of(study).table(table))
