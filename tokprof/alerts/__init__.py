"""``tokprof.alert`` and the conditions that it knows by name."""

from tokprof.alerts.alert import (
    Alert,
    AlertEvent,
    AlertWarning,
    Snapshot,
    alert,
    cache_hit_rate,
    cost_rate,
    error_rate,
    latency,
    retry_rate,
    spike,
    token_rate,
)

__all__ = [
    "Alert",
    "AlertEvent",
    "AlertWarning",
    "Snapshot",
    "alert",
    "cache_hit_rate",
    "cost_rate",
    "error_rate",
    "latency",
    "retry_rate",
    "spike",
    "token_rate",
]
