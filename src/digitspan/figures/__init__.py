"""The figures of a study: first what they show, as numbers; then the drawing."""

from digitspan.figures.drawing import write_study_figures
from digitspan.figures.span_drawing import write_span_figures

__all__ = ["write_span_figures", "write_study_figures"]
