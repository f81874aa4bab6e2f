"""Whether an estimate still is what its regression fitted, so that arrays in ``detail`` belong to its terms."""

from __future__ import annotations

import numpy as np

from evalkit.estimate import Estimate


def labels_of(est: Estimate) -> list[str]:
    """The terms as text, as `evalkit.estimators.two_way` writes them into ``detail``."""
    return [str(label[0]) if len(label) == 1 else str(label) for label in est.terms]


def as_fitted(est: Estimate) -> bool:
    """The terms are those of a two-way fit: nothing was selected, combined or renamed since."""
    return list(est.detail.get("labels", ())) == labels_of(est) and np.array_equal(
        est.values, np.asarray(est.detail.get("values", ())), equal_nan=True
    )


def places(est: Estimate) -> list[int] | None:
    """Where each term stood in the fit, if all are terms of it with their values unchanged; None otherwise."""
    known = {label: at for at, label in enumerate(est.detail.get("labels", ()))}
    labels = labels_of(est)
    if "values" not in est.detail or not set(labels) <= set(known):
        return None
    at = [known[label] for label in labels]
    same = np.array_equal(est.values, np.asarray(est.detail["values"])[at], equal_nan=True)
    return at if same else None
