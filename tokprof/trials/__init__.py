"""A function run many times, each time under its own profile: what experiments, searches and recipes are made of."""
