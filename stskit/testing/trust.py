"""Who may assume a role, and with what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from fnmatch import fnmatchcase

from attrs import field, frozen

from stskit.credentials import Secret

__all__ = ["Trust"]


def _shared(external_id: str | None) -> Secret | None:
    return None if external_id is None else Secret(external_id)


def _patterns(patterns: Sequence[str] | None) -> tuple[str, ...] | None:
    return (patterns,) if isinstance(patterns, str) else None if patterns is None else tuple(patterns)


def _keys(keys: Sequence[str]) -> tuple[str, ...]:
    return (keys,) if isinstance(keys, str) else tuple(keys)


@frozen
class Trust:
    """What a role asks of whoever wants to assume it; as it is made by default, nothing.

    `callers`: ARNs of users, roles, sessions and SAML providers, and issuers of tokens, with ``*`` for any characters;
    None: everybody; (): nobody. `subjects`: likewise, who signed in: ``sub`` of a token, NameID of an assertion.
    `external_id`: the one that has to be sent. `mfa`: whether an MFA code has to come, now or when the session of the
    user was made. `tags`: keys of session tags that have to be there, in whatever case. `source_identity`: whether one
    has to be there. `max_duration`: the longest session.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
    """

    callers: Sequence[str] | None = field(default=None, converter=_patterns)
    subjects: Sequence[str] | None = field(default=None, kw_only=True, converter=_patterns)
    external_id: Secret | None = field(default=None, kw_only=True, converter=_shared)
    mfa: bool = field(default=False, kw_only=True)
    tags: Sequence[str] = field(default=(), kw_only=True, converter=_keys)
    source_identity: bool = field(default=False, kw_only=True)
    max_duration: timedelta = field(default=timedelta(hours=12), kw_only=True)

    def admits_caller(self, *names: str) -> bool:
        """Whether one of the *names* of a caller is on the list. Raises nothing."""
        return _fits(self.callers, names)

    def admits_subject(self, subject: str) -> bool:
        """Whether *subject* is on the list. Raises nothing."""
        return _fits(self.subjects, (subject,))

    def admits_tags(self, *keys: str) -> bool:
        """Whether all the keys that have to be there are among *keys*. Raises nothing."""
        return {key.lower() for key in self.tags} <= {key.lower() for key in keys}


def _fits(patterns: Sequence[str] | None, names: Sequence[str]) -> bool:
    return patterns is None or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
