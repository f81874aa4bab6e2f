"""Digits: heaping and first digits. Hints only: rounding is a habit and Benford's law a pattern, neither shows a fault."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evalkit.ingest.audit import thresholds as at
from evalkit.ingest.audit.finding import Finding
from evalkit.ingest.audit.subject import Subject
from evalkit.ingest.audit.words import RULES, said, share_words

_BENFORD = np.log10(1 + 1 / np.arange(1, 10))


def digits(subject: Subject) -> Iterator[Finding]:
    """Values that end in 0 too often, and first digits far from Benford's law."""
    for name in subject.working:
        if subject.kinds[name] not in ("count", "money"):
            continue
        values = subject.values[name]
        known = values[np.isfinite(values) & (values > 0)]
        whole = known[(known == np.round(known)) & (known >= 20)]
        if len(whole) >= at.HEAP_VALUES and len(whole) > 0.5 * len(known):
            share = float((whole % 10 == 0).mean())
            if at.HEAPED < share < 1.0:
                places = np.flatnonzero(np.isfinite(values) & (values >= 20) & (values % 10 == 0))
                yield Finding(
                    check="heaping", severity="hint", sentence=said("heaping", variable=name, share=share_words(share)),
                    rows=subject.of_rows(places, name), total=len(places), rule=RULES["digits"], score=0.3, variable=name,
                )  # fmt: skip
        if len(known) >= at.BENFORD_VALUES:
            low, high = np.quantile(known, [0.01, 0.99])
            if np.log10(high / low) >= at.BENFORD_ORDERS:
                first = np.floor(known / 10.0 ** np.floor(np.log10(known))).astype(np.int64)
                seen = np.bincount(np.clip(first, 1, 9), minlength=10)[1:] / len(known)
                if float(np.abs(seen - _BENFORD).mean()) > at.BENFORD_DISTANCE:
                    yield Finding(
                        check="first_digit", severity="hint", sentence=said("first_digit", variable=name), rows=(),
                        total=len(known), rule=RULES["digits"], score=0.2, variable=name,
                    )  # fmt: skip
