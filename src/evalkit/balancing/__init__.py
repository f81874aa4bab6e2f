"""Balancing: make the comparison group comparable before outcomes are read (weights, matches and their diagnostics).

entropy_balancing     exact moments, weights closest to the base weights
inverse_probability   odds of a fitted propensity, plain or calibrated
matching              nearest neighbours, exact within strata

Each takes (panel, design) and gives a `Balancing`; `Balancing.apply` puts its weights into the panel for
`Design.weight`. What they read stood before the first adoption. The card of diagnoses is in `evalkit.checks`.
"""

from __future__ import annotations

from evalkit.balancing.entropy import entropy_balancing
from evalkit.balancing.inverse_probability import inverse_probability
from evalkit.balancing.matching import matching
from evalkit.balancing.result import Balancing

__all__ = ["Balancing", "entropy_balancing", "inverse_probability", "matching"]
