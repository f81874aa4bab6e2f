"""Words: every sentence of a report comes from one table of messages in two languages.

The table is ``messages/*.yml``, one entry a key: ``key: {ko: …, en: …}``. All files are read as one table the first time
a word is asked for; a key that stands twice is an error. Placeholders are ``{name}``; a Korean particle follows its word
as ``{name:은/는}`` and is chosen by sound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

from evalkit import strict_yaml
from evalkit.errors import UsageError, nearest
from evalkit.present.numerals import (
    MINUS,
    MISSING,
    Lang,
    digits_for,
    interval,
    level_text,
    number,
    p_value,
    percent,
    quantity,
    spoken,
    with_unit,
)
from evalkit.present.particles import KoreanFormatter, with_particle

__all__ = [
    "LANGUAGES",
    "MINUS",
    "MISSING",
    "Lang",
    "digits_for",
    "few_cluster_line",
    "finding",
    "interval",
    "keys",
    "level_text",
    "number",
    "p_value",
    "percent",
    "placeholders",
    "quantity",
    "read_messages",
    "say",
    "spoken",
    "template",
    "with_particle",
    "with_unit",
]

LANGUAGES: tuple[Lang, ...] = ("ko", "en")
FOLDER = Path(__file__).with_name("messages")

_FORMATTER = KoreanFormatter()


def read_messages(folder: Path) -> dict[str, dict[str, str]]:
    """All messages of a folder as one table.

    Raises
    ------
    UsageError : a file that is not a mapping, a key that stands twice, or an entry without both languages
    """
    table: dict[str, dict[str, str]] = {}
    origin: dict[str, str] = {}
    for path in sorted(folder.glob("*.yml")):
        try:
            content = strict_yaml.load(path.read_text(encoding="utf-8"))
        except UsageError as error:
            raise UsageError(error.problem, where=(path.name, *error.where), remedy=error.remedy) from None
        if not isinstance(content, dict):
            raise UsageError(
                "문구 파일이 키와 값의 묶음이 아님",
                where=(path.name,),
                remedy="key: {ko: …, en: …} 로 적을 것",
            )
        for key, entry in content.items():
            if key in table:
                raise UsageError(
                    f"문구 {key!r} 이(가) 두 파일에 있음",
                    where=(origin[key], path.name),
                    remedy="하나를 지우거나 이름을 바꿀 것",
                )
            if (
                not isinstance(entry, dict)
                or set(entry) != set(LANGUAGES)
                or not all(isinstance(text, str) for text in entry.values())
            ):
                raise UsageError(
                    f"문구 {key!r} 에 ko 와 en 이 하나씩 있지 않음",
                    where=(path.name,),
                    remedy="두 언어를 모두 글로 적을 것",
                )
            table[str(key)] = {lang: text.strip() for lang, text in entry.items()}
            origin[str(key)] = path.name
    return table


@cache
def _messages() -> dict[str, dict[str, str]]:
    return read_messages(FOLDER)


def keys() -> tuple[str, ...]:
    """Every key of the table, sorted."""
    return tuple(sorted(_messages()))


def template(key: str, lang: str) -> str:
    """A message as it stands in the table, its placeholders open."""
    return _messages()[key][lang]


def placeholders(text: str) -> set[str]:
    """Names of the values that a template needs."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def say(key: str, lang: str = "ko", **values: Any) -> str:
    """The message `key` in a language, with its values put in.

    Raises
    ------
    UsageError : unknown key (the nearest one is named), unknown language, or a value that the message needs is missing

    Examples
    --------
    >>> say("unit.clusters", "ko")
    '군집'
    """
    table = _messages()
    if key not in table:
        raise UsageError(
            f"문구 {key!r} 이(가) 없음", where=("messages",), remedy=nearest(key, table, count=3)
        )
    if lang not in LANGUAGES:
        raise UsageError(f"언어 {lang!r} 은(는) 쓸 수 없음", remedy="ko 또는 en 으로 적을 것")
    text = table[key][lang]
    missing = sorted(placeholders(text) - set(values))
    if missing:
        raise UsageError(
            f"문구 {key!r} 에 넣을 값 {', '.join(missing)} 이(가) 없음",
            where=("messages",),
            remedy=f"say({key!r}, …, {missing[0]}=…) 로 부를 것",
        )
    return _FORMATTER.vformat(text, (), values)


# -- sentences that follow the interval -------------------------------------------------------------


def _known(value: Any) -> float | None:
    """A finite number, or None."""
    if value is None:
        return None
    as_float = float(value)
    return as_float if math.isfinite(as_float) else None


def finding(
    estimate_row: Mapping[Any, Any] | Any,
    unit: str,
    level: float = 0.95,
    mde: float | None = None,
    claimed: float | None = None,
    lang: str = "ko",
    *,
    outcome: str = "",
    digits: int | None = None,
) -> str:
    """One sentence about an effect, worded by its interval.

    It never says that there is an effect where the interval includes zero, and never that there is none: where the
    smallest detectable effect is larger than the one claimed it says that the data cannot tell, and where it is not,
    only whether an effect of the size claimed is compatible with the data.

    Parameters
    ----------
    estimate_row : mapping or row with ``estimate``, ``conf_low``, ``conf_high`` (a row of `Estimate.table`)
    unit : natural unit such as ``명``
    level : level of the interval in the row
    mde : smallest detectable effect, same unit (sign ignored)
    claimed : effect that the programme claims, same unit
    outcome : what the sentence is about, such as ``고용``; empty = no subject
    digits : decimals; None = two figures of the half width
    """
    value, low, high = (_known(estimate_row[name]) for name in ("estimate", "conf_low", "conf_high"))
    mde = None if _known(mde) is None else abs(float(mde or 0.0))
    claimed = None if _known(claimed) in (None, 0.0) else claimed
    topic = say("finding.topic", lang, outcome=outcome) + " " if outcome else ""
    owner = say("finding.owner", lang, outcome=outcome) + " " if outcome else ""
    if value is None:
        return _sentence(say("finding.not_estimable", lang, owner=owner))
    if low is None or high is None:
        places = digits_for(value) if digits is None else digits
        shown = spoken(value, unit, places, lang)
        return _sentence(say("finding.no_interval", lang, owner=owner, estimate=shown))
    places = digits_for((high - low) / 2, low, high) if digits is None else digits

    def write(amount: float) -> str:
        return spoken(amount, unit, places, lang)

    words: dict[str, str] = {
        "topic": topic,
        "owner": owner,
        "level": level_text(level),
        "interval": interval(low, high, places),
        "estimate": write(value),
        "size": write(abs(value)),
        "mde": "" if mde is None else write(mde),
        "claimed": "" if claimed is None else write(float(claimed)),
    }
    if low > 0 or high < 0:
        key = "finding.increase" if low > 0 else "finding.decrease"
        if claimed is None:
            return _sentence(say(key, lang, **words))
        place = "within" if low <= claimed <= high else "above" if claimed > high else "below"
        claim = say(f"finding.claim_{place}", lang, **words)
        return _sentence(say(f"{key}_and", lang, claim=claim, **words))
    return _sentence(say(_uncertain_key(low, high, mde, claimed), lang, **words))


def _uncertain_key(low: float, high: float, mde: float | None, claimed: float | None) -> str:
    """Which sentence fits an interval that includes zero."""
    if claimed is None:
        return "finding.uncertain" if mde is None else "finding.uncertain_mde"
    outside = not low <= claimed <= high
    if mde is None:
        return "finding.uncertain_claim_outside" if outside else "finding.uncertain_claim_inside"
    if mde > abs(claimed):
        return "finding.uncertain_underpowered"
    return "finding.claim_refuted" if outside else "finding.uncertain_claim_inside"


def _sentence(text: str) -> str:
    """With a capital at the start (no change in Hangul)."""
    return text[:1].upper() + text[1:]


def few_cluster_line(counts: Mapping[str, Any] | Any, lang: str = "ko", *, cluster: str = "") -> str:
    """How many treated and comparison clusters there are, and the smallest p-value attainable.

    Parameters
    ----------
    counts : mapping or object with ``total``, ``treated`` (only treated units), ``comparison`` (only comparison units),
        ``mixed`` (both) and ``min_p_permutation`` (None or NaN where no permutation of clusters exists)
    cluster : what a cluster is, such as ``시·도``
    """

    def get(name: str) -> Any:
        return counts.get(name) if isinstance(counts, Mapping) else getattr(counts, name, None)

    total, treated, comparison, mixed = (
        int(get(name) or 0) for name in ("total", "treated", "comparison", "mixed")
    )
    named = say("clusters.named", lang, cluster=cluster) if cluster else say("clusters.plain", lang)
    parts = [say("clusters.only_treated", lang, n=number(treated))]
    parts.append(say("clusters.only_comparison", lang, n=number(comparison)))
    if mixed:
        parts.append(say("clusters.mixed", lang, n=number(mixed)))
    line = say("clusters.line", lang, clusters=named, total=number(total), parts=", ".join(parts))
    smallest = _known(get("min_p_permutation"))
    if smallest is None:
        line = f"{line} {say('clusters.no_permutation', lang)}"
        by_sign = _known(get("min_p_sign"))
        return line if by_sign is None else f"{line} {_smallest('sign', by_sign, lang)}"
    line = f"{line} {_smallest('min_p', smallest, lang)}"
    return f"{line} {say('clusters.out_of_reach', lang)}" if smallest > 0.05 else line


def _smallest(way: str, p: float, lang: str) -> str:
    """The smallest p-value that a way of testing attains."""
    if p < 0.0001:
        return say(f"clusters.{way}_below", lang, p="0.0001")
    return say(f"clusters.{way}", lang, p=f"{p:.4f}" if p < 0.01 else f"{p:.3f}")
