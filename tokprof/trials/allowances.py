"""What experiments and searches may spend, as it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from tokprof.allowance.terms import Terms
    from tokprof.budget import Budget

    Allowance: TypeAlias = int | Mapping[str, Any] | Budget | None


def agreed(given: Allowance) -> Terms | None:
    """Check a budget as it was asked for.

    Parameters
    ----------
    given : int, mapping, Budget or None
        Tokens, or the options of `tokprof.budget`, or one that it made; None for none.

    Raises
    ------
    TypeError, ValueError
        For what is none.
    """
    if given is None:
        return None
    from tokprof.budget import Budget, budget

    if isinstance(given, Budget):
        made = given
    elif isinstance(given, Mapping):
        made = budget(**given)
    elif hasattr(type(given), "__index__") and not isinstance(given, bool):
        made = budget(tokens=given)
    else:
        raise TypeError(f"a budget is a number of tokens, a dict as tokprof.budget takes it, or one, not {given!r}")
    return replace(made._terms)
