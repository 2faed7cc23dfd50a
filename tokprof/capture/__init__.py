"""How spans get in."""
