"""What is drawn. Each function takes frames or Estimates and returns a `Drawing`; titles state the finding."""

from evalkit.present.figures.anticipation import anticipation
from evalkit.present.figures.comparison import phase_comparison
from evalkit.present.figures.comparison_borders import border_classes
from evalkit.present.figures.event_lines import event_lines
from evalkit.present.figures.event_time import event_study
from evalkit.present.figures.flow_chart import flow
from evalkit.present.figures.forest_plot import forest
from evalkit.present.figures.indicator_path import PathPanel, indicator_paths
from evalkit.present.figures.left_out import left_out
from evalkit.present.figures.love_plot import love_plot
from evalkit.present.figures.mean_paths import paths
from evalkit.present.figures.opinions import second_opinions
from evalkit.present.figures.overlap import overlap
from evalkit.present.figures.placebo import placebo_distribution
from evalkit.present.figures.power_curve import power_curve
from evalkit.present.figures.region_forest import region_forest
from evalkit.present.figures.region_map import region_map
from evalkit.present.figures.region_zones import region_zones
from evalkit.present.figures.ring_profile import ring_profile
from evalkit.present.figures.sensitivity import sensitivity
from evalkit.present.figures.specification_curve import specification_curve
from evalkit.present.figures.summary import interval_summary
from evalkit.present.figures.treated_when import treated_when
from evalkit.present.figures.variance_shares import variance_shares
from evalkit.present.figures.waterfall import waterfall

__all__ = [
    "PathPanel",
    "anticipation",
    "border_classes",
    "event_lines",
    "event_study",
    "flow",
    "forest",
    "indicator_paths",
    "interval_summary",
    "left_out",
    "love_plot",
    "overlap",
    "paths",
    "phase_comparison",
    "placebo_distribution",
    "power_curve",
    "region_forest",
    "region_map",
    "region_zones",
    "ring_profile",
    "second_opinions",
    "sensitivity",
    "specification_curve",
    "treated_when",
    "variance_shares",
    "waterfall",
]
