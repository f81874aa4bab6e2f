"""What is drawn. Each function takes frames or Estimates and returns a `Drawing`; titles state the finding."""

from evalkit.present.figures.comparison import phase_comparison
from evalkit.present.figures.event_time import event_study
from evalkit.present.figures.flow import flow
from evalkit.present.figures.forest import forest
from evalkit.present.figures.paths import paths
from evalkit.present.figures.summary import interval_summary

__all__ = ["event_study", "flow", "forest", "interval_summary", "paths", "phase_comparison"]
