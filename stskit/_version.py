"""The version of this package, here because the metadata of an install may be missing."""

from typing import Final

__all__ = ["__version__"]

__version__: Final = "0.1.0"
