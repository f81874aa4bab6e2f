"""What is drawn. Each function takes frames or Estimates and returns a `Drawing`; titles state the finding."""

from evalkit.present.figures.comparison import phase_comparison
from evalkit.present.figures.event_time import event_study
from evalkit.present.figures.flow_chart import flow
from evalkit.present.figures.forest_plot import forest
from evalkit.present.figures.mean_paths import paths
from evalkit.present.figures.summary import interval_summary

__all__ = ["event_study", "flow", "forest", "interval_summary", "paths", "phase_comparison"]
