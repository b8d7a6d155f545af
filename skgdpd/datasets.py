"""Data for demonstrations, and series from files."""
