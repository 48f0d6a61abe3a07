"""A source that reads a SAML response from a file."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Final

from attrs import field, frozen

from stskit._arguments import has_method, optional_shown_text, optional_text, path_text, timespan
from stskit._time import SystemClock, shown_time
from stskit.errors import (
    ProofInvalid,
    SignInRequired,
    SourceError,
    StskitWarning,
    init_without_frames,
    prefixed,
    warn_caller,
    without_frames,
)
from stskit.proofs import SAMLAssertion
from stskit.protocols import Clock
from stskit.sources.proof_file import FileSnapshot, KeptStream, display_name, read_bytes, text_in

__all__ = ["SAMLFile"]

_WHAT: Final = "a SAML response"
_MAX_BYTES: Final = 50_000_000  # a browser log contains every loaded file


def _path(path: str | os.PathLike[str]) -> str:
    return path_text(
        path,
        ProofInvalid,
        remedy="Save the response in a file and pass its path, or pass Static(SAMLAssertion.from_text(text)).",
        cli_remedy="Save the response in a file and pass its path: --saml-file FILE",
    )


@frozen
class SavedResponse:
    """The newest SAML response of a file.

    Args:
        assertion: The response.
        name: Its name in messages.
        among: Number of responses in the file.
    """

    assertion: SAMLAssertion
    name: str
    among: int


@init_without_frames
@frozen
class SAMLFile:
    """A source that reads the SAML response of an identity provider from a file.

    The response is the value of the form field ``SAMLResponse`` that the browser posts to
    https://signin.aws.amazon.com/saml. The file can contain it as base64 in one or several lines, URL-encoded, as a
    form body, as XML, or in a log of the browser: a HAR file, or text copied from its developer tools, up to 50 MB. Of
    several responses the newest is used, of those posted to AWS if there are any. The logger ``stskit`` names it at
    INFO.

    The file is read again for every fetch. An assertion is valid for a few minutes, so a recipe that refreshes needs a
    person to sign in again and save a new response. Until then it raises `SignInRequired`. Rules that only AWS has,
    such as the audience, are checked when the assertion is about to be sent to AWS.

    Args:
        path: Path of the file. ``~`` is the home folder, and ``-`` is standard input. Standard input and pipes are read
            once and kept in memory.
        principal_arn: ARN of the SAML provider in IAM. Defaults to the one that the assertion lists with the role.
        skew: Largest allowed difference between the clocks of this machine and of the identity provider, as a
            timedelta. Defaults to 4 minutes.
        audience: Audience that the assertion must have. Defaults to any that the server accepts.
        clock: The source of the time. Defaults to the system clock.

    Raises:
        ProofInvalid: If the path is the content of a file instead.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import assume
        >>> from stskit.sources import SAMLFile
        >>> assume("arn:aws:iam::123456789012:role/Deploy", source=SAMLFile("samlresponse.log")).subject
        'alice'

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_saml_view-saml-response.html
    """

    path: str = field(converter=_path)
    principal_arn: str | None = field(default=None, validator=optional_shown_text)
    skew: timedelta = field(default=timedelta(minutes=4), kw_only=True, repr=False, validator=timespan)
    audience: str | None = field(default=None, kw_only=True, repr=False, validator=optional_text)
    clock: Clock = field(factory=SystemClock, kw_only=True, repr=False, validator=has_method("now", "a clock"))
    _stream: KeptStream = field(factory=KeptStream, init=False, repr=False, eq=False)

    @without_frames
    def fetch(self) -> SAMLAssertion:
        """Read the file and return its assertion. Errors name the file and do not quote its content.

        Returns:
            The assertion. It has not expired.

        Raises:
            SourceMissing: If there is no such file.
            SignInRequired: If the assertion has expired.
            ProofInvalid: If the file contains no SAML response, or one that is not valid yet or for another `audience`.
        """
        return self.snapshot().fetch()

    @without_frames
    def read(self) -> SAMLAssertion:
        """Read the file and return its assertion without checking times and audience, to show it rather than send it.

        Returns:
            The assertion, which may have expired.

        Raises:
            SourceMissing: If there is no such file.
            ProofInvalid: If the file contains no SAML response.
        """
        return self.snapshot().read().assertion

    @property
    @without_frames
    def identity(self) -> str:
        """The cache key of the bytes of the file as it is now, also if the assertion has expired.

        Raises `SourceMissing` if there is no such file, and `ProofInvalid` if it cannot be read.
        """
        return self.snapshot().identity

    @without_frames
    def snapshot(self) -> FileSnapshot[SavedResponse, SAMLAssertion]:
        """Read the file, and return a source whose `identity` and `fetch` use the same bytes.

        Returns:
            A source.

        Raises:
            SourceMissing: If there is no such file.
            ProofInvalid: If it cannot be read.
        """
        data = read_bytes(self.path, _WHAT, _MAX_BYTES, stream=self._stream)
        return FileSnapshot("SAML", data, (self.principal_arn,), self._parse, self._judge)

    def _parse(self, data: bytes) -> SavedResponse:
        from stskit.proofs import browser_log

        name = display_name(self.path)
        text = text_in(_without_archive(data), self.path, _WHAT)
        try:
            found = browser_log.newest(text)
            name = f"{name}, {found.which}" if found.which else name
            return SavedResponse(SAMLAssertion.from_encoding(found.value, self.principal_arn), name, found.among)
        except SourceError as error:
            raise prefixed(error, f"{name}: ", path=self.path) from None

    def _judge(self, saved: SavedResponse) -> SAMLAssertion:
        assertion = saved.assertion
        try:
            if not assertion.is_encrypted:  # AWS checks an encrypted assertion
                self._judge_time(assertion)
                self._judge_audience(assertion.audiences)
        except SourceError as error:
            raise prefixed(error, f"{saved.name}: ", path=self.path) from None
        _report(saved)
        return assertion

    def _judge_time(self, assertion: SAMLAssertion) -> None:
        now, begin, end = self.clock.now(), assertion.not_before, assertion.not_on_or_after
        if end is not None and now >= end + self.skew:
            raise SignInRequired(
                f"the SAML assertion expired at {shown_time(end)}. The time is {shown_time(now)}.",
                remedy=f"Sign in again, and save the new response as {self.path}"
                if self.path != "-"
                else "Sign in again, and pass the new response to a new command.",
            )
        if begin is not None and now < begin - self.skew:
            raise ProofInvalid(
                f"the SAML assertion is not valid before {shown_time(begin)}. The time is {shown_time(now)}.",
                remedy="Check the clocks of this machine and of the identity provider.",
            )

    def _judge_audience(self, audiences: tuple[str, ...]) -> None:
        if self.audience is not None and audiences and self.audience not in audiences:
            raise ProofInvalid(
                f"the SAML assertion was issued for {', '.join(audiences)[:200]}, not for {self.audience}.",
                remedy="Save the response for that audience, or pass another one: SAMLFile(path, audience=...).",
                option="audience",
            )


def _report(saved: SavedResponse) -> None:
    assertion = saved.assertion
    if saved.among > 1:
        from logging import getLogger

        getLogger("stskit").info("%s: using this SAML response.", saved.name)
    if not assertion.is_encrypted and (number := assertion.invalid_role_count):
        warn_caller(
            f"{saved.name}: {number} values of the attribute Role were skipped, because they are not a pair of a role "
            "ARN and a SAML provider ARN. Correct them in the identity provider.",
            StskitWarning,
        )


def _without_archive(data: bytes) -> bytes:
    """Return the pages of a web archive of Safari, or other data as it is."""
    if not data.startswith(b"bplist00") and b"<plist" not in data[:1000]:
        return data
    from plistlib import loads
    from xml.parsers.expat import ExpatError

    try:
        archive = loads(data)
        pages = [archive, *archive.get("WebSubframeArchives", ())]
        return b"\n".join(page["WebMainResource"]["WebResourceData"] for page in pages)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError, ExpatError):
        return data  # a property list of another kind, or not one
