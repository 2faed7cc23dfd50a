"""Metering: what an exchange spent, and what that costs."""
