"""Pure functions of the span table."""
