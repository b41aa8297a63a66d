"""The sheet's questions and their points."""

from __future__ import annotations

__all__ = ["PARTS", "POINTS"]

POINTS = {"1.1": "2P", "1.2": "2P", "1.3": "2P", "1.4": "2P", "1.5": "3P", "1.6": "5P"}
"""Question to points, as the sheet prints them."""

PARTS = ("1.1", "1.2", "1.3", "1.4", "1.5a", "1.5b", "1.6")
"""What is answered one by one: Question 1.5 asks two things."""
