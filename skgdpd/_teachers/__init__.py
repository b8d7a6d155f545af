"""Teachers, and their outputs as arrays."""
