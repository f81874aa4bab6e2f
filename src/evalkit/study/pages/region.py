"""시·도 보고서: one province's supported firms in one phase and outcome. The notebook reads this module."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evalkit.errors import DesignError
from evalkit.present.messages import interval, level_text, number, p_value, say
from evalkit.present.numerals import spoken
from evalkit.programmes import place_name
from evalkit.study.effect import Effect
from evalkit.study.pages import effect_design, effect_numbers
from evalkit.study.pages.effect import answer_sentence, grade_reasons, pivotal_name
from evalkit.study.pages.measures import Line, line_table
from evalkit.study.pages.quantities import ALL, firms_key, over_places
from evalkit.study.pages.region_places import (
    compared_km,
    forest,
    national_row,
    supported_words,
    zones_figure,
)
from evalkit.study.pages.showing import (
    digits_of,
    firms_behind,
    horizon_words,
    outcome_label,
    phase_label,
    release_of,
    show,
    trend_differed,
    unit_of,
    variable_words,
    written,
)
from evalkit.study.regional import Regional, wider_by_place
from evalkit.study.regional_effect import fewest
from evalkit.study.study import Study

__all__ = [
    "answer",
    "balance_table",
    "chance",
    "event_study",
    "event_table",
    "flow_table",
    "forest",
    "limits",
    "opening",
    "places",
    "pre_trend",
    "ways_table",
    "zones_figure",
]


def opening(study: Study, found: Regional) -> None:
    """Which province, outcome and phase."""
    lang = study.lang
    show(
        release_of(study).text(
            say(
                "study.region.opening",
                lang,
                region=place_name(found.region, lang),
                outcome=outcome_label(study, found.outcome),
                phase=phase_label(study, found.phase),
            )
        )
    )


def refusal(study: Study, found: Regional) -> str:
    """Why the province has no effect of its own, in a sentence."""
    least, (treated, comparison) = fewest(study.plan), found.used
    key = "treated" if treated < least else "comparison" if comparison < least else "time"
    return say(
        f"study.region.refused_{key}",
        study.lang,
        region=place_name(found.region, study.lang),
        least=number(least),
        km=number(compared_km(study)),
    )


def answer(study: Study, found: Regional) -> None:
    """The effect in the province, or why there is none; what it is compared with; what one province cannot tell."""
    lang, release = study.lang, release_of(study)
    label = say(
        "study.region.label",
        lang,
        region=place_name(found.region, lang),
        outcome=outcome_label(study, found.outcome),
        phase=phase_label(study, found.phase),
    )
    if isinstance(found.effect, DesignError):
        lines = [supported_line(study, found), all_firms_line(study, found), national_line(study, found)]
        head = release.headline(label, say("study.region.no_value", lang), refusal(study, found))
    else:
        effect = found.effect
        lines = [
            compared_line(study, found, effect),
            together_line(study, found),
            national_line(study, found),
            say("study.effect.grade", lang, grade=effect.grade.points, reasons=grade_reasons(study, effect)),
            pivotal_line(study, effect),
        ]
        head = release.headline(
            label,
            written(study, effect),
            answer_sentence(study, effect, named=False),
            grade=str(effect.grade.points),
        )
    show(head, release.text("\n".join(f"- {line}" for line in lines if line)))


def compared_line(study: Study, found: Regional, effect: Effect) -> str:
    """Who is compared with whom, from when and over which years."""
    return say(
        "study.region.compared",
        study.lang,
        region=place_name(found.region, study.lang),
        treated=number(effect.n_treated),
        comparison=number(effect.n_comparison),
        km=number(compared_km(study)),
        base=effect.sample.baseline,
        horizon=horizon_words(study, effect),
    )


def supported_line(study: Study, found: Regional) -> str:
    """How many firms were supported when; fewer than may be shown are only said to be few."""
    words = supported_words(study, found)
    return say(
        "study.region.supported" if words else "study.region.supported_few",
        study.lang,
        region=place_name(found.region, study.lang),
        years=words,
        least=number(fewest(study.plan)),
    )


def together_line(study: Study, found: Regional) -> str:
    """The interval that holds for all provinces at once, and whether they differ by more than chance."""
    chance_of = found.beside.chance
    if chance_of is None or found.region not in found.beside.rows.index:
        return ""
    row = natural(study, found, found.beside.row(found.region))
    outside = row["all_low"] > 0 or row["all_high"] < 0
    alone = row["conf_low"] > 0 or row["conf_high"] < 0
    key = "holds" if outside else "lost" if alone else "wide"
    digits = digits_of({"estimate": 0.0, "conf_low": row["all_low"], "conf_high": row["all_high"]})
    return say(
        f"study.region.together_{key}",
        study.lang,
        count=number(len(found.beside.rows)),
        interval=interval(row["all_low"], row["all_high"], digits),
    )


def national_line(study: Study, found: Regional) -> str:
    """The plan's own effect over all provinces."""
    row = national_row(study, found)
    digits = digits_of(row)
    value = spoken(row["estimate"], unit_of(study, found.outcome), digits, study.lang)
    bounds = interval(row["conf_low"], row["conf_high"], digits) if np.isfinite(row["conf_low"]) else ""
    return say("study.region.national", study.lang, estimate=f"{value} {bounds}".strip())


def all_firms_line(study: Study, found: Regional) -> str:
    """The same firms against unsupported firms everywhere: a number without an interval."""
    found_all = found.against_all
    if isinstance(found_all, DesignError) or found.used[0] < fewest(study.plan):
        return ""
    value = in_unit(study, found, float(found_all.estimate.values[0]))
    digits = digits_of(national_row(study, found))
    return say(
        "study.region.all_firms",
        study.lang,
        estimate=spoken(value, unit_of(study, found.outcome), digits, study.lang),
    )


def pivotal_line(study: Study, effect: Effect) -> str:
    """The one thing that would change the conclusion: a check that failed, else what a single place cannot tell."""
    name = pivotal_name(study, effect)
    known = name in ("pre_trends", "attrition", "precision")
    told = say(f"study.pivotal.{name}" if known else "study.region.pivotal_place", study.lang)
    return f"{say('study.pivotal', study.lang)}: {told}"


def in_unit(study: Study, found: Regional, value: float) -> float:
    """A value on the scale of estimation in the natural unit."""
    return float(100 * np.expm1(value)) if study.plan.outcomes[found.outcome].scale == "log" else value


def natural(study: Study, found: Regional, row: dict[str, float]) -> dict[str, float]:
    """A row of estimates and bounds in the natural unit; errors and counts as they are."""
    bent = ("estimate", "conf_low", "conf_high", "all_low", "all_high", "shrunk")
    return {k: in_unit(study, found, float(v)) if k in bent else float(v) for k, v in row.items()}


def places(study: Study, found: Regional) -> None:
    """Which firms were supported, and where the zones and the compared firms are."""
    show(release_of(study).text(supported_line(study, found)))
    zones_figure(study, found)


def event_study(study: Study, found: Regional) -> None:
    """Effects by years since support, with pointwise intervals and the uniform band."""
    if isinstance(found.effect, DesignError):
        show(release_of(study).text(refusal(study, found)))
        return
    effect_numbers.event_study(study, found.effect)


def pre_trend(study: Study, found: Regional) -> None:
    """The joint test before support, and the drift that it could have missed."""
    if not isinstance(found.effect, DesignError):
        effect_numbers.pre_trend(study, found.effect)


def event_table(study: Study, found: Regional) -> None:
    """The numbers behind the figure."""
    if not isinstance(found.effect, DesignError):
        effect_numbers.event_table(study, found.effect)


def chance(study: Study, found: Regional) -> None:
    """Whether provinces differ by more than chance, and how this one reads when the others are taken into account."""
    lang, lines = study.lang, []
    rows, equal = found.beside.rows, found.beside.chance
    if equal is None:
        show(release_of(study).text(say("study.region.no_others", lang)))
        return
    unit, digits = unit_of(study, found.outcome), digits_of(national_row(study, found))

    def told(value: float) -> str:
        return spoken(in_unit(study, found, value), unit, digits, lang)

    differ = equal.p_value < 1 - study.plan.inference.level
    lines.append(
        say(
            "study.region.differ" if differ else "study.region.alike",
            lang,
            count=number(len(rows)),
            p=p_value(equal.p_value),
            low=told(float(rows["estimate"].min())),
            high=told(float(rows["estimate"].max())),
            chance_low=told(equal.lowest),
            chance_high=told(equal.highest),
        )
    )
    if found.region in rows.index:
        row = found.beside.row(found.region)
        lines.append(
            say(
                "study.region.shrunk" if equal.tau > 0 else "study.region.shrunk_whole",
                lang,
                region=place_name(found.region, lang),
                estimate=told(row["estimate"]),
                shrunk=told(row["shrunk"]),
            )
        )
    lines.append(say("study.region.no_ranking", lang))
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))


def ways_table(study: Study, found: Regional) -> None:
    """The same firms compared in other ways, and what each of them identifies."""
    lang, plan = study.lang, study.plan
    level, unit = plan.inference.level, unit_of(study, found.outcome)
    treated, key = found.used[0], firms_key(found.outcome, found.phase, found.region, "treated")
    lines: list[Line] = []
    if isinstance(found.effect, DesignError):
        lines.append(
            Line(
                say("study.region.way_within", lang), None, unit, None, say("study.region.said_refused", lang)
            )
        )
    else:
        row = found.effect.row(level)
        lines.append(
            Line(
                say("study.region.way_within", lang),
                row,
                unit,
                treated,
                say("study.region.said_within", lang),
                key=key,
            )
        )
        equal = found.beside.chance
        if equal is not None and equal.tau > 0:
            lines.append(
                Line(
                    say("study.region.way_place", lang),
                    natural(study, found, wider_by_place(found.beside, found.region, level)),
                    unit,
                    treated,
                    say("study.region.said_place", lang),
                    key=key,
                )
            )
    if treated >= fewest(plan) and not isinstance(found.against_all, DesignError):
        value = in_unit(study, found, float(found.against_all.estimate.values[0]))
        nothing = float("nan")
        lines.append(
            Line(
                say("study.region.way_all", lang),
                {"estimate": value, "conf_low": nothing, "conf_high": nothing, "p_value": nothing},
                unit,
                treated,
                say("study.region.said_all", lang),
                key=key,
            )
        )
    lines.append(
        Line(
            say("study.region.way_national", lang),
            national_row(study, found),
            unit,
            int(found.national["n"]),
            say("study.region.said_national", lang),
            key=firms_key(found.outcome, found.phase, ALL, "treated"),
        )
    )
    table = line_table(
        study,
        found.outcome,
        f"ways_{found.outcome}_{found.phase}",
        say("study.region.table_ways", lang, outcome=outcome_label(study, found.outcome)),
        lines,
        said=say("study.region.column_said", lang),
        notes=_ways_notes(study, found),
        identities=over_places(found.outcome, found.phase, found.beside.names)[:1],
    )
    show(release_of(study).table(table))


def _ways_notes(study: Study, found: Regional) -> tuple[str, ...]:
    if isinstance(found.effect, DesignError):
        return ()
    lead = found.effect.headline
    words = say(
        "study.region.note_inference",
        study.lang,
        method=effect_numbers.inference_label(lead.name, study.lang),
        dof=number(float(lead.estimate.dof[0])),
    )
    return (words,) if lead.covered else (words, say("study.region.note_not_covered", study.lang))


def flow_table(study: Study, found: Regional) -> None:
    """From all firms of the province to those that are compared."""
    if not isinstance(found.effect, DesignError):
        effect_design.sample_table(study, found.effect, found.region)


def balance_table(study: Study, found: Regional) -> None:
    """Supported and unsupported firms of the province at the start; a category with too few firms takes its variable out."""
    if isinstance(found.effect, DesignError):
        return
    effect, least = found.effect, fewest(study.plan)
    thin: list[str] = []
    for name, row in effect.balance.iterrows():
        stem, _, level = str(name).partition("=")
        sides = (effect.n_treated * row["mean_treated"], effect.n_comparison * row["mean_comparison"])
        if level and any(0 < round(n) < least for n in sides) and firms_behind(study, found.outcome, 1):
            thin.append(stem)
    kept = [not any(str(name).startswith(f"{stem}=") for stem in thin) for name in effect.balance.index]
    effect_design.balance_table(study, replace(effect, balance=effect.balance[kept]), found.region)
    if thin:
        names = ", ".join(dict.fromkeys(variable_words(study, stem) for stem in thin))
        show(
            release_of(study).text(
                say("study.region.balance_thin", study.lang, names=names, least=number(least))
            )
        )


def limits(study: Study, found: Regional) -> None:
    """What one province alone cannot tell."""
    lang, region = study.lang, place_name(found.region, study.lang)
    lines = [
        say("study.region.limit_place", lang),
        say("study.region.limit_programme", lang, region=region),
        say("study.region.limit_neighbours", lang, km=number(compared_km(study))),
    ]
    if isinstance(found.effect, Effect):
        if trend_differed(found.effect) is not None:
            lines.insert(0, say("study.measure.trend_caution", lang))
        if len(found.effect.horizon) <= study.plan.horizon:
            asked, got = study.plan.horizon + 1, len(found.effect.horizon)
            lines.append(say("study.caution.short_horizon", lang, asked=asked, found=got))
    lines.append(say("study.region.limit_level", lang, level=level_text(study.plan.inference.level)))
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))
