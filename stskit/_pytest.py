"""A plugin of pytest's: where two secrets are compared and differ, it shows their masks, and not their text.

Without it pytest looks into values that are not equal, and shows how two texts differ, letter by letter.
"""

from __future__ import annotations


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """What a failed comparison shows of the values of this package, which are secrets or may hold some."""
    if not (_is_discreet(left) or _is_discreet(right)):
        return None
    names = [name for name in getattr(type(left), "__slots__", ()) if _differ(left, right, name)]
    return [f"{left!r} {op} {right!r}", *([f"they differ in: {', '.join(names)}"] if names else [])]


def _is_discreet(value: object) -> bool:
    return type(value).__module__.startswith("stskit.")


def _differ(left: object, right: object, name: str) -> bool:
    return not name.startswith("_") and getattr(left, name, None) != getattr(right, name, None)
