"""Preparation of series and labels, and the preparation, training and finish of networks."""
