"""Version of the package, which all other places take from here."""

__version__ = "0.1.0"
