"""The version of this package, here because the metadata of an install may be missing."""

__all__ = ["__version__"]

__version__ = "0.1.0"
