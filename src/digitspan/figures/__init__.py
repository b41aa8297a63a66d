"""The figures of a study: first what they show, as numbers; then the drawing."""

from digitspan.figures.drawing import save, write_study_figures

__all__ = ["save", "write_study_figures"]
