"""Proof that is already at hand."""

from __future__ import annotations

from attrs import frozen

from stskit.identity import Credentials

__all__ = ["Static"]


@frozen
class Static:
    """The credentials that it was given, unchanged, for ever."""

    credentials: Credentials

    def fetch(self) -> Credentials:
        """What it was given."""
        return self.credentials
