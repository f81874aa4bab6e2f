"""예산의 부분: published money of one year, its parts and what their arithmetic shows."""

from __future__ import annotations

import math

from evalkit.present.figures.indicator_path import as_published
from evalkit.present.messages import number, percent, quantity, say
from evalkit.present.tabulation import Column, Entry, Role, Tabulation
from evalkit.study.indicators import Published
from evalkit.study.monitoring import Budget, budget
from evalkit.study.pages.monitoring_words import origin
from evalkit.study.pages.showing import release_of, show
from evalkit.study.study import Study


def opening(study: Study) -> None:
    """What the money is: planned input of one year."""
    lang, found = study.lang, budget(study.plan)
    year, unit = _year_and_unit(study)
    key = "study.portfolio.opening_counted" if "projects" in found.figures else "study.portfolio.opening"
    words = {
        "total": quantity(found.total.value, unit, as_published([found.total.value]), lang),
        "year": year,
    }
    if "projects" in found.figures:
        words["projects"] = number(found.figures["projects"].value)
    release = release_of(study)
    told = say(key, lang, **words)
    show(
        release.text(told, headline=told),
        release.notice("caution", say("study.portfolio.input", lang)),
    )


def parts(study: Study) -> None:
    """The parts and their shares, with the sum held against the published total."""
    lang, found = study.lang, budget(study.plan)
    year, unit = _year_and_unit(study)
    rows: list[tuple[object, ...]] = [
        (line.label[lang], _amount(value.value), share, _quote(value))
        for (line, value), share in zip(found.parts, found.arithmetic.shares, strict=True)
    ]
    rows.append((say("study.portfolio.total", lang), _amount(found.total.value), 1.0, ""))
    show(
        release_of(study).table(
            Tabulation(
                name="portfolio_parts",
                title=say("study.portfolio.parts_title", lang, year=year),
                columns=_columns(unit, lang),
                rows=tuple(rows),
                roles=_roles(len(found.parts)),
                notes=(
                    say("study.portfolio.total_quote", lang, quote=_quote(found.total)),
                    _sum_words(study, found),
                    say("study.monitoring.note_quotes", lang),
                ),
                lang=lang,
            )
        )
    )


def named(study: Study) -> None:
    """Lines that the source names one by one, and what remains unnamed."""
    lang, found = study.lang, budget(study.plan)
    if not found.named:
        return
    year, unit = _year_and_unit(study)
    rows: list[tuple[object, ...]] = [
        (line.label[lang], _amount(value.value), value.value / found.total.value, _quote(value))
        for line, value in found.named
    ]
    arithmetic = found.arithmetic
    rows.append(
        (say("study.portfolio.named_sum", lang), _amount(arithmetic.named_sum), arithmetic.named_share, "")
    )
    show(
        release_of(study).table(
            Tabulation(
                name="portfolio_named",
                title=say("study.portfolio.named_title", lang, year=year),
                columns=_columns(unit, lang),
                rows=tuple(rows),
                roles=_roles(len(found.named)),
                notes=(say("study.portfolio.note_named", lang),),
                lang=lang,
            )
        )
    )


def arithmetic(study: Study) -> None:
    """The year before, new projects and the bottom-up share: published figures and what follows from them."""
    lang, found = study.lang, budget(study.plan)
    year, unit = _year_and_unit(study)
    made, lines = found.arithmetic, []

    def money(key: str) -> str:
        value = found.figures[key].value
        return quantity(value, unit, as_published([value]), lang)

    if "increase" in found.figures and math.isfinite(made.growth):
        lines.append(
            say(
                "study.portfolio.before", lang,
                year=year, before_year=year - 1, increase=money("increase"),
                before=quantity(made.before, unit, as_published([made.before]), lang),
                growth=percent(made.growth, 1),
            )
        )  # fmt: skip
    if "new" in found.figures and "new_projects" in found.figures:
        lines.append(
            say(
                "study.portfolio.new", lang,
                projects=number(found.figures["new_projects"].value), money=money("new"),
                share=percent(found.figures["new"].value / found.total.value, 1),
            )
        )  # fmt: skip
    if "bottom_up" in found.figures and math.isfinite(made.share_before):
        lines.append(
            say(
                "study.portfolio.bottom_up", lang,
                share=number(found.figures["bottom_up"].value, 1), before=number(made.share_before, 1),
                change=number(found.figures["bottom_up_change"].value, 0),
            )
        )  # fmt: skip
    asked = study.plan.monitoring
    if asked is not None and asked.portfolio is not None and asked.portfolio.remark is not None:
        lines.append(asked.portfolio.remark[lang])
    if lines:
        show(release_of(study).text("\n".join(f"- {line}" for line in lines)))


def _sum_words(study: Study, found: Budget) -> str:
    lang, (_, unit) = study.lang, _year_and_unit(study)
    made = found.arithmetic
    total = quantity(made.parts_sum, unit, as_published([made.parts_sum]), lang)
    # figures are published in whole units or one decimal: less than that is floating point
    if abs(made.difference) < 1e-6 * abs(found.total.value):
        return say("study.portfolio.adds_up", lang, sum=total)
    difference = quantity(made.difference, unit, as_published([made.difference]), lang, plus=True)
    return say("study.portfolio.does_not_add_up", lang, sum=total, difference=difference)


def _columns(unit: str, lang: str) -> tuple[Column, ...]:
    return (
        Column("line", say("study.portfolio.line", lang)),
        Column("amount", say("study.portfolio.amount", lang), "number", unit),
        Column("share", say("study.portfolio.share", lang), "percent", digits=1),
        Column("quote", say("study.monitoring.quote", lang)),
    )


def _roles(lines: int) -> tuple[Role, ...]:
    body: list[Role] = ["body"] * lines
    return (*body, "total")


def _amount(value: float) -> Entry:
    return Entry(value, "number", as_published([value]))


def _quote(value: Published) -> str:
    if value.origin is None:
        return value.source
    return f"«{value.origin.quote}»"


def sources(study: Study) -> None:
    """Documents behind the figures."""
    found = budget(study.plan)
    every = [found.total, *(v for _, v in (*found.parts, *found.named)), *found.figures.values()]
    names = dict.fromkeys(v.source if v.origin is None else origin(v.origin, study.lang) for v in every)
    show(release_of(study).text("\n".join(f"- {name}" for name in names)))


def _year_and_unit(study: Study) -> tuple[int, str]:
    asked = study.plan.monitoring
    assert asked is not None
    assert asked.portfolio is not None  # `budget` has said so already
    return asked.portfolio.year, asked.portfolio.unit[study.lang]
