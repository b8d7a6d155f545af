"""Grid search with shared teachers, folds of labelled series, check of unlabelled series."""
