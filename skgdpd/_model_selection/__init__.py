"""Grid search with shared teachers, folds of labelled series, and check of unlabelled series."""
