"""The version, as a constant: a bundle may come without the metadata of the install."""

__all__ = ["__version__"]

__version__ = "0.1.0"
