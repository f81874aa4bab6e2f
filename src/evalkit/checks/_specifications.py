"""The grid of a specification curve: choices, their combinations, and each combination under re-assigned treatment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.checks.reassignment import (
    VERIFIED,
    FastFit,
    assigned,
    at_once,
    fit_or_nan,
    p_values_of,
)
from evalkit.design import Design
from evalkit.errors import EvalkitError, UsageError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.inference.reassignment import Reassignment
from evalkit.inference.refit import Fit
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Numbers = tuple[Floats, Floats, Floats]


@dataclass(frozen=True, slots=True)
class Choice:
    """What one planned choice changes; nothing by default.

    Attributes
    ----------
    design : fields of the design to replace, such as {"comparison": "never"}
    panel : the panel changed, such as a sample or another comparison group; applied in the order of the dimensions, and
        anew to each re-assigned panel
    fit : the method in place of the plan's
    other_estimand : it answers another question: shown apart and never counted
    """

    design: Mapping[str, Any] = field(default_factory=dict)
    panel: Callable[[Panel], Panel] | None = None
    fit: Fit | None = None
    other_estimand: bool = False


@dataclass(frozen=True, slots=True)
class Specification:
    """One combination of choices.

    labels : dimension -> label; planned : the first label of each dimension; counted : the same estimand as the plan
    key : labels of the choices that change the panel, in order
    """

    labels: dict[str, str]
    design: Design
    fit: Fit
    changes: tuple[Callable[[Panel], Panel], ...]
    key: tuple[tuple[str, str], ...]
    planned: bool
    counted: bool

    def panel(self, panel: Panel) -> Panel:
        """The panel with this specification's changes."""
        for change in self.changes:
            panel = change(panel)
        return panel

    def estimate(self, panel: Panel) -> Estimate:
        """The estimate on a panel, changes applied."""
        return self.fit(self.panel(panel), self.design)


def specifications(
    panel: Panel, design: Design, fit: Fit, dimensions: Mapping[str, Mapping[str, Choice]]
) -> list[Specification]:
    """Every combination, in the order of the dimensions.

    Raises
    ------
    UsageError : as told by `evalkit.checks.specification_curve.specification_curve`
    """
    _require(dimensions)
    names = list(dimensions)
    out = []
    for labels in product(*(dimensions[name] for name in names)):
        chosen = [dimensions[name][label] for name, label in zip(names, labels, strict=True)]
        changed: dict[str, Any] = {}
        for choice in chosen:
            changed |= choice.design
        own = [choice.fit for choice in chosen if choice.fit is not None]
        told = dict(zip(names, (str(label) for label in labels), strict=True))
        out.append(
            Specification(
                told,
                replace(design, **changed),
                own[0] if own else fit,
                tuple(choice.panel for choice in chosen if choice.panel is not None),
                tuple(
                    item
                    for item, choice in zip(told.items(), chosen, strict=True)
                    if choice.panel is not None
                ),
                all(label == next(iter(dimensions[n])) for n, label in zip(names, labels, strict=True)),
                not any(choice.other_estimand for choice in chosen),
            )
        )
    if not any(spec.counted for spec in out):
        raise UsageError(
            f"명세 {len(out)}개가 모두 다른 효과를 추정한다고 표시되어 셀 것이 없음",
            remedy="계획의 효과를 추정하는 선택을 차원마다 하나는 남길 것",
        )
    return out


def _require(dimensions: Mapping[str, Mapping[str, Choice]]) -> None:
    empty = [name for name, choices in dimensions.items() if not choices]
    if not dimensions or empty:
        raise UsageError(
            f"명세 곡선에 고를 것이 없음 ({'차원이 없음' if not dimensions else '빈 차원 ' + ', '.join(empty)})",
            remedy="차원마다 이름과 Choice 를 하나 이상 적을 것",
        )
    known = {f.name for f in fields(Design)}
    touched: dict[str, set[str]] = {}
    for name, choices in dimensions.items():
        touched[name] = set()
        for label, choice in choices.items():
            if not isinstance(choice, Choice):
                raise UsageError(
                    f"선택 {choice!r} 은(는) Choice 가 아님",
                    where=(f"차원 {name}", str(label)),
                    remedy="바꾸는 것을 Choice(design=…, panel=…, fit=…) 로 적을 것",
                )
            wrong = sorted(set(choice.design) - known)
            if wrong:
                raise UsageError(
                    f"설계에 {', '.join(wrong)} 이(가) 없음",
                    where=(f"차원 {name}", str(label)),
                    remedy=nearest(wrong[0], known),
                )
            touched[name] |= set(choice.design) | ({"fit"} if choice.fit is not None else set())
    for one, two in combinations(dimensions, 2):
        both = sorted(touched[one] & touched[two])
        if both:
            what = ", ".join("추정 방법" if key == "fit" else key for key in both)
            raise UsageError(
                f"두 차원 {one}, {two} 이(가) 모두 {what} 을(를) 바꾸어 어느 쪽을 따를지 정할 수 없음",
                remedy="한 차원으로 모아 조합을 하나하나 적을 것",
            )


def permuted(
    specs: list[Specification], panel: Panel, design: Design, chosen: Reassignment
) -> tuple[Floats, Floats]:
    """Estimates and p-values of every specification under every assignment, the actual one first  # (B + 1, S) each"""
    draws = len(chosen.codes) + 1
    values, errors, dof = (np.full((draws, len(specs)), np.nan) for _ in range(3))
    slow: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for k, spec in enumerate(specs):
        quick = _at_once(spec, panel, design, chosen)
        if quick is None:
            slow.setdefault(spec.key, []).append(k)
        else:
            values[:, k], errors[:, k], dof[:, k] = quick
    if slow:
        for b in range(draws):
            moved = assigned(panel, design, chosen, b - 1)
            for members in slow.values():
                try:
                    own = specs[members[0]].panel(moved)
                except EvalkitError:
                    continue
                for k in members:
                    single = specs[k].fit
                    single = single.one if isinstance(single, FastFit) else single
                    values[b, k], errors[b, k], dof[b, k] = fit_or_nan(own, specs[k].design, single)
    return values, p_values_of(values, errors, dof)


def _at_once(spec: Specification, panel: Panel, design: Design, chosen: Reassignment) -> Numbers | None:
    """All assignments by the fast way, where the panel's changes keep whole units and their adoption dates.

    The last assignments are also estimated with the changes applied to the re-assigned panel, so that a change that depends
    on who is treated is not passed over.
    """
    if not isinstance(spec.fit, FastFit) or spec.design.adoption != design.adoption:
        return None
    own = spec.panel(panel)
    place = {unit: i for i, unit in enumerate(panel.units.tolist())}
    at = np.array([place.get(unit, -1) for unit in own.units.tolist()])
    if (at < 0).any():
        return None
    before, after = adoption_codes(panel, design.adoption)[at], adoption_codes(own, design.adoption)
    if not np.array_equal(before, after):
        return None
    here = replace(chosen, group=chosen.group[at])
    found = at_once(own, spec.design, spec.fit, here)
    if found is None or not spec.changes:
        return found
    last = len(chosen.codes)
    for b in range(last - VERIFIED, last):
        moved = spec.panel(assigned(panel, design, chosen, b))
        seen = fit_or_nan(moved, spec.design, spec.fit.one)
        told = [column[b + 1] for column in found]
        if not np.allclose(told, seen, rtol=1e-7, atol=1e-12, equal_nan=True):
            return None
    return found
