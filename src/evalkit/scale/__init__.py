"""National files: one expression (Ibis), executed by embedded DuckDB or by Spark, and effects from cell sums.

open_engine, open_source, with_programme   a file as a table, and who was supported
national_cells, place_cells                sums by cluster × cohort × pattern, by region × industry × period
supported_panel, matched_pool, panel_of    panels that fit in memory
open_pension, pension_panel                monthly 국민연금 files
group_time_from_cells, imputation_from_cells   effects from the sums, as in memory to 1e-9

The engines are optional (``evalkit[scale]``, ``evalkit[spark]``) and imported when one is opened.
"""

from __future__ import annotations

from evalkit.arrays.cell_sums import CellSums, sum_cells
from evalkit.scale.cells import NationalCells, national_cells, place_cells
from evalkit.scale.effects import group_time_from_cells, imputation_from_cells
from evalkit.scale.engine import Engine, open_engine
from evalkit.scale.panels import MatchedPool, MatchRule, matched_pool, panel_of, supported_panel
from evalkit.scale.pension import month_label, month_number, open_pension, pension_panel
from evalkit.scale.sources import Source, open_source, with_programme

__all__ = [
    "CellSums",
    "Engine",
    "MatchRule",
    "MatchedPool",
    "NationalCells",
    "Source",
    "group_time_from_cells",
    "imputation_from_cells",
    "matched_pool",
    "month_label",
    "month_number",
    "national_cells",
    "open_engine",
    "open_pension",
    "open_source",
    "panel_of",
    "pension_panel",
    "place_cells",
    "sum_cells",
    "supported_panel",
    "with_programme",
]
