"""The sources an evaluator has, each a declaration and a reader; `read_source` is the one way in."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from evalkit.errors import PlanError, SchemaError, nearest
from evalkit.ingest.reading import read_table
from evalkit.ingest.repeats import refuse_repeats
from evalkit.ingest.sources import (
    centroids,
    deflator,
    ecos,
    employment_composition,
    employment_insurance,
    factory_registration,
    firm_financials,
    indicators,
    industry_panel,
    kosis,
    listed_moves,
    membership,
    national_pension,
    performance_survey,
    region_panel,
    zones,
)
from evalkit.ingest.store import TableStore
from evalkit.ingest.table import Table, TableSpec

SPECS: dict[str, TableSpec] = {
    spec.name: spec
    for spec in (
        *performance_survey.SPECS,
        employment_insurance.SPEC,
        employment_composition.SPEC,
        national_pension.SPEC,
        factory_registration.SPEC,
        firm_financials.SPEC,
        zones.DESIGNATION,
        zones.DISTANCE,
        region_panel.SPEC,
        industry_panel.SPEC,
        industry_panel.TARGETS,
        membership.SPEC,
        listed_moves.SPEC,
        centroids.SPEC,
        deflator.SPEC,
        kosis.SPEC,
        ecos.SPEC,
        indicators.SPEC,
    )
}
"""Every declared table by name."""

READERS: dict[str, Callable[..., list[Table]]] = {
    "performance_survey": performance_survey.read,
    "employment_insurance": employment_insurance.read,
    "employment_composition": employment_composition.read,
    "national_pension": national_pension.read,
    "factory_registration": factory_registration.read,
    "firm_financials": firm_financials.read,
    "zones": zones.read,
    "region_panel": region_panel.read,
    "industry_panel": industry_panel.read,
    "industry_targets": industry_panel.read_targets,
    "membership": membership.read,
    "listed_moves": listed_moves.read,
    "centroids": centroids.read,
    "deflator": deflator.read,
    "kosis": kosis.read,
    "ecos": ecos.read,
    "indicators": indicators.read,
}


CHOOSERS: dict[str, Callable[..., dict[Path, Any]]] = {"employment_insurance": employment_insurance.choose}
"""Of sources whose files are chosen among (a year may have been published twice): what of each file is used."""


def read_source(
    name: str,
    paths: str | Path | Iterable[str | Path],
    *,
    key: bytes = b"",
    options: Mapping[str, Any] | None = None,
    store: TableStore | None = None,
) -> list[Table]:
    """Read every file of a source, in the order of their names.

    Parameters
    ----------
    name : one of `READERS`
    paths : a file, or several
    key : secret for hashing identifiers
    options : of the reader: ``year``, ``invalid_identifier``, ``invalid_region``, ``units_of``, ``sheet``, …
    store : tables of files that did not change come from here, and what is read is kept here

    Raises
    ------
    SchemaError : an unknown source, or no file
    PlanError : an option that no reader knows, or a value that it cannot take
    FileError, ValueProblem : one file, or one key, stands in two files
    DataError : as `read_table`
    """
    if name not in READERS:
        raise SchemaError(f"모르는 자료 {name!r}", remedy=nearest(name, READERS))
    files = [Path(paths)] if isinstance(paths, str | Path) else sorted(Path(p) for p in paths)
    if not files:
        raise SchemaError(
            f"자료 {name} 의 파일이 하나도 없음", remedy="data/raw 에 파일을 두거나 계획의 경로를 고칠 것"
        )
    check_options(name, options or {})
    given = dict(options or {})
    chosen = CHOOSERS[name](files, **given) if name in CHOOSERS else None
    tables: list[Table] = []
    for path in files:
        if chosen is not None and path not in chosen:
            continue  # the table of the file that is used instead says so
        asked = given if chosen is None else {**given, "use": chosen[path]}
        reader = partial(READERS[name], key=key, **asked)
        tables += reader(path) if store is None else store.tables(name, path, asked, key, reader)
    refuse_repeats(tables)
    return tables


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuse options of a source that its reader does not know.

    Raises
    ------
    PlanError : with the nearest name, or the values that may be given
    """
    asked = {**inspect.signature(read_table).parameters, **inspect.signature(READERS[name]).parameters}
    known = {n: p for n, p in asked.items() if n not in ("path", "spec", "key", "options", "use")}
    where = ("data.sources", name, "options")
    for option, value in options.items():
        if option not in known:
            raise PlanError(f"모르는 옵션 {option!r}", where=where, remedy=nearest(option, known))
        choices = re.findall(r"'([^']+)'", str(known[option].annotation))
        if "Literal" in str(known[option].annotation) and value not in choices:
            raise PlanError(
                f"옵션 {option} 에 쓸 수 없는 값 {value!r}",
                where=where,
                remedy=f"쓸 수 있는 값: {', '.join(choices)}",
            )
