"""Profile -> bytes or text, one file a format, and back again."""
