"""What the adapters for sktime and aeon have in common, without an import of either."""
