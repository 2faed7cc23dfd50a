"""Procedures of the literature, ready to run on your own model and questions."""

from tokprof.recipes.tale import Tale, last_tale, tale

__all__ = ["Tale", "last_tale", "tale"]
