"""Profile -> what is seen."""
