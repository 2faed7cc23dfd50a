"""Amounts of money in words, for sentences of the analysis as well as for views."""

from __future__ import annotations

from collections.abc import Iterable


def usd(amount: float, places: int | None = None) -> str:
    """``$0.0123``: as many places as an amount of money needs to say something, or as many as its column has."""
    if 0 < amount < 0.0000005:
        return "<$0.000001"
    if places is not None:
        return f"${amount:,.{places}f}"
    if 0 < amount < 0.01:
        return f"${amount:.6f}".rstrip("0")
    return f"${amount:,.4f}" if amount < 1 else f"${amount:,.2f}"


def usd_places(amounts: Iterable[float]) -> int:
    """Decimals of a column of money: as many as the amount that needs most, so that all line up."""
    return max((len(usd(amount).rpartition(".")[2]) for amount in amounts if amount > 0), default=4)
