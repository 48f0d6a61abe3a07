"""A SAML response that was saved as a file."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Final
from warnings import warn

from attrs import field, frozen

from stskit._arguments import has_method, optional_shown_text, optional_text, path_text, timespan
from stskit._time import SystemClock
from stskit.errors import (
    ProofInvalid,
    SignInRequired,
    SourceError,
    StskitWarning,
    init_without_frames,
    prefixed,
    without_frames,
)
from stskit.proofs import SAMLAssertion
from stskit.protocols import Clock
from stskit.sources.proof_file import FileSnapshot, KeptStream, display_name, read_bytes, text_in

__all__ = ["SAMLFile"]

_WHAT: Final = "a SAML response"
_MAX_BYTES: Final = 50_000_000  # a browser log holds everything that was loaded


def _path(path: str | os.PathLike[str]) -> str:
    return path_text(
        path,
        ProofInvalid,
        remedy="Save the response in a file and write its path, or write Static(SAMLAssertion.from_text(text))",
        cli_remedy="Save the response in a file and write its path: --saml-file FILE",
    )


@frozen
class SavedResponse:
    """The `assertion` in a file, by which `name` messages refer to it, and of how many responses it is the newest."""

    assertion: SAMLAssertion
    name: str
    among: int


@init_without_frames
@frozen
class SAMLFile:
    """A file that holds the SAML response of an identity provider, in whatever way it was saved.

    That is the value of the form field ``SAMLResponse`` which the browser posts to https://signin.aws.amazon.com/saml:
    base64, in one line or several, URL-encoded, as a form body, as the XML itself, or somewhere in a log of the
    browser: a HAR file, or text copied from its developer tools, of up to 50 MB. Of several the newest is taken, of
    those posted to AWS if there are any; the logger ``stskit`` says at INFO which it was.

    `path`: of the file; ``~`` is the home, and ``-`` is standard input. That and pipes, such as ``<(command)``, are
    read once and kept in memory for this object. `principal_arn`: the ARN of the SAML provider; None finds it in the
    assertion, beside the role. `skew`: by how much the clocks of this machine and of the identity provider may differ.
    `audience`: whom the assertion must be for; defaults to what the server accepts.
    `clock`: what it takes the time from.

    The file is read again for every fetch. An assertion is good for a few minutes, so a recipe that refreshes needs a
    person to sign in again and save a new response; until then it raises `SignInRequired`. What only STS of AWS demands
    of an assertion, such as its audience, is judged when the assertion is about to be sent there.

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
        """Read the file, as it is now. All errors name the file, and nothing of what is in it.

        Raises `SourceMissing` where it is not there, `SignInRequired` where the assertion has ended, `ProofInvalid`
        where it is none, is not valid yet, or is for another `audience`.
        """
        return self.snapshot().fetch()

    @without_frames
    def read(self) -> SAMLAssertion:
        """The assertion in the file as it is, also one that has ended or is not for AWS: to look into, not to send.

        Raises `SourceMissing` where the file is not there, `ProofInvalid` where it holds no SAML response.
        """
        return self.snapshot().read().assertion

    @property
    @without_frames
    def identity(self) -> str:
        """A key for caches: for the bytes of the file as it is now, also for an expired assertion.

        Raises `SourceMissing` where the file is not there, `ProofInvalid` where it cannot be read.
        """
        return self.snapshot().identity

    @without_frames
    def snapshot(self) -> FileSnapshot[SavedResponse, SAMLAssertion]:
        """Read the file now: return a source whose `identity` and `fetch` use these bytes. Raises as `identity`."""
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
            if not assertion.is_encrypted:  # then it is AWS that judges
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
                f"the SAML assertion ended at {end}, and it is {now.replace(microsecond=0)}",
                remedy=f"sign in again and save the new response as {self.path}"
                if self.path != "-"
                else "sign in again and pass the new response to a new command",
            )
        if begin is not None and now < begin - self.skew:
            raise ProofInvalid(
                f"the SAML assertion counts from {begin}, and it is {now.replace(microsecond=0)}",
                remedy="check the clocks of this machine and of the identity provider",
            )

    def _judge_audience(self, audiences: tuple[str, ...]) -> None:
        if self.audience is not None and audiences and self.audience not in audiences:
            raise ProofInvalid(
                f"the SAML assertion is for {', '.join(audiences)[:200]}, and not for {self.audience}",
                remedy="save the response for that audience, or name another one: SAMLFile(path, audience=...)",
                option="audience",
            )


def _report(saved: SavedResponse) -> None:
    assertion = saved.assertion
    if saved.among > 1:
        from logging import getLogger

        getLogger("stskit").info("%s: this SAML response is taken", saved.name)
    if not assertion.is_encrypted and (number := assertion.invalid_role_count):
        warn(
            f"{saved.name}: {number} values of the attribute Role are no pair of a role ARN and a SAML provider ARN, "
            "and were left out; have the identity provider correct them",
            StskitWarning,
            stacklevel=7,  # where `fetch` was called
        )


def _without_archive(data: bytes) -> bytes:
    """Return the pages in *data* where it is a web archive of Safari; else *data*."""
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
