"""Tables to panels, flows and samples: histories of establishments, exits, moves, known breaks of a source."""

from __future__ import annotations

from evalkit.building.flow_chart import FlowChart, FlowLine, Sifting
from evalkit.building.histories import GAP_RULES, History
from evalkit.building.moves import event_flows, move_flows, moved_in, over_places
from evalkit.building.panels import Built, fixed_at, joined_panel, wide
from evalkit.building.parts import Part, one_row_each
from evalkit.building.samples import pooled_sample

__all__ = [
    "GAP_RULES",
    "Built",
    "FlowChart",
    "FlowLine",
    "History",
    "Part",
    "Sifting",
    "event_flows",
    "fixed_at",
    "joined_panel",
    "move_flows",
    "moved_in",
    "one_row_each",
    "over_places",
    "pooled_sample",
    "wide",
]
