"""Credentials that are fetched again before they expire."""

from stskit.refresh.cached import Cached
from stskit.refresh.policy import RefreshPolicy

__all__ = ["Cached", "RefreshPolicy"]
