"""A simulated cache of prompts: what stood at the beginning of an earlier one is read from it."""

import threading
from collections import defaultdict, deque

LEAST = 1024
"""Tokens of the shortest prefix that is read from the cache."""
STEP = 128
"""Tokens in whose multiples a prefix is read."""
_KEPT = 200  # prompts of a model


class PrefixCache:
    """
    The prompts of a provider, by model.

    The rule is OpenAI's (https://platform.openai.com/docs/guides/prompt-caching): the longest prefix that an earlier
    prompt of the same model has, from 1,024 tokens on, in steps of 128; nothing is written or paid for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prompts: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def read(self, model: str, text: str, tokens: int) -> int:
        """
        Take in a prompt, and return how many of its tokens are read from the cache.

        Parameters
        ----------
        model, text : str
            The model, and all of the prompt, tools first.
        tokens : int
            Of the prompt.
        """
        with self._lock:
            earlier = self._prompts[model]
            same = max((_shared(text, other) for other in earlier), default=0)
            earlier.append(text)
        shared = tokens * same // max(len(text), 1)
        return shared // STEP * STEP if shared >= LEAST else 0

    def clear(self) -> None:
        """Forget all prompts."""
        with self._lock:
            self._prompts.clear()


def _shared(text: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    least, most = 0, min(len(text), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if text[least:middle] == other[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least
