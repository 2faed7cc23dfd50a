"""Collapsed stacks: ``a;b;c 123``, one a line, for flamegraph.pl, inferno and speedscope.

https://github.com/brendangregg/FlameGraph
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from tokprof.export.stacks import own, paths, whole
from tokprof.export.texts import label

if TYPE_CHECKING:
    from tokprof.profile import Profile


def render(profile: Profile, metric: str) -> str:
    """Give the merged tree as stacks with a whole number each: tokens, nanodollars or nanoseconds.

    In names ``;`` becomes ``:`` and white space ``_``, as the FlameGraph scripts have it: a name that ends with a
    number would be taken for a second figure.
    """
    tree = profile.merged_tree
    figures = whole(own(tree, metric), metric)
    names = [re.sub(r"\s+", "_", label(name)).replace(";", ":") for name in tree.name]
    sums: Counter[str] = Counter()
    for path, figure in zip(paths(tree), figures, strict=True):
        if figure > 0:
            sums[";".join([names[node] for node in path])] += figure
    return "".join(f"{stack} {figure}\n" for stack, figure in sums.items())
