"""Common parts of the adapters for sktime and aeon, without an import of either package."""
