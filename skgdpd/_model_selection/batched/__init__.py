"""Joint training of many students of one shape, which only the grid search uses."""
