"""A refusal of STS, in its own words."""

from __future__ import annotations

from attrs import define

__all__ = ["Refusal", "denied"]


@define(slots=False)
class Refusal(Exception):
    """What STS says no with. It never leaves the kit: each face has its own way to say it."""

    code: str
    message: str
    status: int = 400


def denied(message: str) -> Refusal:
    """The one for whoever may not."""
    return Refusal("AccessDenied", message, 403)
