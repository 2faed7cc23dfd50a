"""tokprof with prompts and answers kept, as most of its peers do by default."""

from adapters.tokprof import Adapter as Tokprof


class Adapter(Tokprof):
    capture = "full"
