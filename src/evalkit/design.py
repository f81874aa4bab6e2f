"""Design: who is compared with whom, from which base period. It holds no data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from evalkit.errors import DesignError

Comparison = Literal["never", "not_yet"]
Base = Literal["universal", "varying"]
Link = Literal["levels", "ratios"]


@dataclass(frozen=True, slots=True)
class Design:
    """The question put to a `Panel`: hashable, printable, stored with the result.

    Parameters
    ----------
    outcome : name of a varying variable of the panel
    adoption : name of a fixed variable: the first treated period; +inf = never treated (missing in tables)
    comparison : "never" (never treated units) or "not_yet" (units not yet treated, never treated included)
    base : "universal" (one base period per cohort, for event plots and sensitivity) or "varying"
    anticipation : periods before adoption in which the effect may already show; >= 0
    covariates : names of variables (fixed, or varying: taken at the base period as in `did`)
    cluster : name of a fixed variable; None = each unit its own cluster
    weight : name of a fixed or varying variable; None = every unit counts once
    at_risk : name of a varying variable; only units with a positive value in the base period are compared (a firm that
        has closed is no comparison for one about to be supported); None = all
    link : the scale on which trends are parallel
    """

    outcome: str
    adoption: str = "adoption"
    comparison: Comparison = "not_yet"
    base: Base = "universal"
    anticipation: int = 0
    covariates: tuple[str, ...] = ()
    cluster: str | None = None
    weight: str | None = None
    link: Link = "levels"
    at_risk: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "covariates", tuple(self.covariates))
        for name, known in (
            ("comparison", ("never", "not_yet")),
            ("base", ("universal", "varying")),
            ("link", ("levels", "ratios")),
        ):
            if getattr(self, name) not in known:
                raise DesignError(
                    f"설계의 {name} 값 {getattr(self, name)!r} 은(는) 쓸 수 없음",
                    remedy=f"{' 또는 '.join(known)} 로 적을 것",
                )
        if (
            isinstance(self.anticipation, bool)
            or not isinstance(self.anticipation, int)
            or self.anticipation < 0
        ):
            raise DesignError(
                f"설계의 anticipation 값 {self.anticipation!r} 은(는) 0 이상의 정수가 아님",
                remedy="예상 효과가 미리 나타날 수 있는 기간 수를 0 이상의 정수로 적을 것",
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**asdict(self), "covariates": list(self.covariates)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Design:
        """The inverse of `to_dict`."""
        return cls(**{**values, "covariates": tuple(values.get("covariates", ()))})
