"""The figures of a study: numbers first (named tuples that a test reads), ink second."""

from digitspan.figures.drawing import save, write_study_figures

__all__ = ["save", "write_study_figures"]
