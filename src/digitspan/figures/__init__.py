"""The figures of a study: numbers first (named tuples that a test reads), ink second."""

from digitspan.figures.drawing import write_study_figures

__all__ = ["write_study_figures"]
