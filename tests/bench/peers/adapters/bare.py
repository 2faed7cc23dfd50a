"""What every peer is compared with."""

from adapters import Bare as Adapter

__all__ = ["Adapter"]
