"""Variance shares: how much of the uncertainty of an answer each input carries, the largest on top."""

from __future__ import annotations

from collections.abc import Mapping

from evalkit.errors import UsageError
from evalkit.present.canvas import BAND, INK, TREATED, Drawing, canvas, finish, value_axis
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, percent
from evalkit.present.tabulation import Column, Tabulation


def variance_shares(
    shares: Mapping[str, float],
    *,
    title: str,
    assumed: Mapping[str, bool],
    name: str = "variance_shares",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """First-order shares as bars.

    Parameters
    ----------
    shares : label -> share of the variance, 0–1
    assumed : label -> whether it is assumed (light) or estimated (dark)
    """
    if not shares:
        raise UsageError("나눌 불확실성이 없음", where=(name,), remedy="오차나 가정이 있는 값을 넘길 것")
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    with canvas(0.8 + 0.36 * len(ordered)) as (figure, axes):
        value_axis(axes, axis="x", signed=False)
        for at, (label, share) in enumerate(ordered):
            axes.barh(
                at,
                100 * share,
                height=0.56,
                color=BAND if assumed.get(label, True) else TREATED,
                edgecolor=TREATED,
                hatch="///" if assumed.get(label, True) else None,
                linewidth=1.0,
            )
            axes.annotate(
                percent(share),
                (100 * share, at),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                color=INK,
                fontsize=9,
            )
        axes.set_yticks(range(len(ordered)), [label for label, _ in ordered])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(ordered) - 0.45, -0.6)
        axes.set_xlim(0, max(5.0, 112 * max(share for _, share in ordered)))
        axes.set_xlabel(say("figure.variance_share", lang))
        return finish(
            figure,
            name=name,
            title=title,
            alt=say(
                "figure.variance_alt",
                lang,
                k=len(ordered),
                rows=", ".join(f"{label} {percent(share)}" for label, share in ordered),
            ),
            data=Tabulation(
                f"{name}-data",
                title,
                (
                    Column("input", say("table.item", lang)),
                    Column("share", say("figure.variance_share", lang), "percent", "", 1),
                ),
                tuple((label, share) for label, share in ordered),
                lang=lang,
            ),
            note=note,
        )
