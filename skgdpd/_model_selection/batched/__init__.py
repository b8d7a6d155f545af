"""Training of many students of one shape together; only the grid search uses this folder."""
