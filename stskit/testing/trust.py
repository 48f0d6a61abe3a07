"""The requirements of a role."""

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
    """The requirements of a role of a `FakeSTS`. By default there are none.

    Args:
        callers: Allowed ARNs of users, roles, sessions and SAML providers, and issuers of tokens, with ``*`` for any
            characters. An empty list allows no caller. Defaults to all callers.
        subjects: Allowed subjects of tokens and assertions, with ``*`` for any characters. Defaults to all subjects.
        external_id: Required external ID. Defaults to none.
        mfa: Whether an MFA code is required, in this call or in the call of the user's session. Defaults to False.
        tags: Keys of required session tags, in any case. Defaults to none.
        source_identity: Whether a source identity is required. Defaults to False.
        max_duration: Longest session. Defaults to 12 hours.

    Raises:
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import assume
        >>> from stskit.errors import STSError
        >>> from stskit.sources import Static
        >>> from stskit.testing import FakeSTS, Trust
        >>> role = "arn:aws:iam::123456789012:role/Deploy"
        >>> sts = FakeSTS(roles={role: Trust(external_id="partner")})
        >>> try:
        ...     assume(role, source=Static(sts.user()), sts=sts)
        ... except STSError as error:
        ...     print(error.code)
        AccessDenied

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
        """Return whether `callers` allows a caller.

        Args:
            *names: Names of the caller: its ARN, and the ARN of its role.

        Returns:
            Whether one of the names is allowed. Raises nothing.
        """
        return _matches(self.callers, names)

    def admits_subject(self, subject: str) -> bool:
        """Return whether `subjects` allows a subject.

        Args:
            subject: Subject of a token or an assertion.

        Returns:
            Whether it is allowed. Raises nothing.
        """
        return _matches(self.subjects, (subject,))

    def admits_tags(self, *keys: str) -> bool:
        """Return whether all required tags are there.

        Args:
            *keys: Keys of the session tags.

        Returns:
            Whether they include all required keys. Raises nothing.
        """
        return {key.lower() for key in self.tags} <= {key.lower() for key in keys}


def _matches(patterns: Sequence[str] | None, names: Sequence[str]) -> bool:
    return patterns is None or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
