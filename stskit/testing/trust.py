"""What a role requires of its callers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from fnmatch import fnmatchcase

from attrs import field, frozen

from stskit._arguments import check_list, check_type, flag, timespan
from stskit.credentials import Secret

__all__ = ["Trust"]


def _as_secret(external_id: str | None) -> Secret | None:
    check_type("external_id", external_id, (str, type(None)), "text or None")
    return None if external_id is None else Secret(external_id)


def _callers(patterns: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if patterns is None else _texts("callers", patterns)


def _subjects(patterns: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if patterns is None else _texts("subjects", patterns)


def _tags(keys: Sequence[str]) -> tuple[str, ...]:
    return _texts("tags", keys)


def _texts(argument: str, texts: Sequence[str]) -> tuple[str, ...]:
    texts = (texts,) if isinstance(texts, str) else texts
    check_list(argument, texts, "text or a list of texts")
    for each in texts:
        check_type(argument, each, str, "text or a list of texts")
    return tuple(texts)


@frozen
class Trust:
    """What a role requires of its callers; by default nothing.

    `callers`: ARNs of users, roles, sessions and SAML providers, and issuers of tokens, with ``*`` for any characters;
    None: everybody; (): nobody. `subjects`: the same for the ``sub`` of a token and the NameID of an assertion.
    `external_id`: the required one. `mfa`: whether the call, or the one that returned the user's session, must have an
    MFA code. `tags`: keys of required session tags; case does not matter. `source_identity`: whether one is required.
    `max_duration`: the longest session.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
    """

    callers: Sequence[str] | None = field(default=None, converter=_callers)
    subjects: Sequence[str] | None = field(default=None, kw_only=True, converter=_subjects)
    external_id: Secret | None = field(default=None, kw_only=True, converter=_as_secret)
    mfa: bool = field(default=False, kw_only=True, validator=flag)
    tags: Sequence[str] = field(default=(), kw_only=True, converter=_tags)
    source_identity: bool = field(default=False, kw_only=True, validator=flag)
    max_duration: timedelta = field(default=timedelta(hours=12), kw_only=True, validator=timespan)

    def admits_caller(self, *names: str) -> bool:
        """Return whether `callers` lists one of the *names* of a caller. Raises nothing."""
        return _matches(self.callers, names)

    def admits_subject(self, subject: str) -> bool:
        """Return whether `subjects` lists *subject*. Raises nothing."""
        return _matches(self.subjects, (subject,))

    def admits_tags(self, *keys: str) -> bool:
        """Return whether *keys* include all required keys. Raises nothing."""
        return {key.lower() for key in self.tags} <= {key.lower() for key in keys}


def _matches(patterns: Sequence[str] | None, names: Sequence[str]) -> bool:
    return patterns is None or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
