"""A SAML response that was saved as a file."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Final
from warnings import warn

from attrs import field, frozen

from stskit._arguments import has_method, optional_text, path_text, timespan
from stskit._time import SystemClock
from stskit.cache_key import proof_key
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
from stskit.sources.proof_file import read_proof

__all__ = ["SAMLFile"]

_MAX_BYTES: Final = 50_000_000  # a browser log holds everything that was loaded


def _path(path: str | os.PathLike[str]) -> str:
    return path_text(
        path,
        ProofInvalid,
        remedy="Save the response in a file and write its path, or write Static(SAMLAssertion.from_text(text))",
        cli_remedy="Save the response in a file and write its path: --saml-file FILE",
    )


@init_without_frames
@frozen
class SAMLFile:
    """A file that holds the SAML response of an identity provider, in whatever way it was saved.

    That is the value of the form field ``SAMLResponse`` which the browser posts to https://signin.aws.amazon.com/saml:
    base64, in one line or several, URL-encoded, as a form body, as the XML itself, or somewhere in a log of the
    browser: a HAR file, or text copied from its developer tools, of up to 50 MB. Of several the newest is taken, of
    those posted to AWS if there are any; the logger ``stskit`` says at INFO which it was.

    `path`: of the file; ``~`` is the home. `principal_arn`: the ARN of the SAML provider; None finds it in the
    assertion, beside the role. `skew`: by how much the clocks of this machine and of the identity provider may differ.
    `audience`: whom the assertion must be for; None: AWS. `clock`: what it takes the time from.

    The file is read again for every fetch. An assertion is good for a few minutes, so a recipe that refreshes needs a
    person to sign in again and save a new response; until then it raises `SignInRequired`.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_saml_view-saml-response.html
    """

    path: str = field(converter=_path)
    principal_arn: str | None = field(default=None, validator=optional_text)
    skew: timedelta = field(default=timedelta(minutes=4), kw_only=True, repr=False, validator=timespan)
    audience: str | None = field(default=None, kw_only=True, repr=False, validator=optional_text)
    clock: Clock = field(factory=SystemClock, kw_only=True, repr=False, validator=has_method("now", "a clock"))

    @without_frames
    def fetch(self) -> SAMLAssertion:
        """Read the file, as it is now. All errors name the file, and nothing of what is in it.

        Raises `SourceMissing` where it is not there, `SignInRequired` where the assertion has ended, `ProofInvalid`
        where it is none, is not valid yet, or is not for AWS.
        """
        return self._read(judge=True)

    @without_frames
    def read(self) -> SAMLAssertion:
        """The assertion in the file as it is, also one that has ended or is not for AWS: to look into, not to send.

        Raises `SourceMissing` where the file is not there, `ProofInvalid` where it holds no SAML response.
        """
        return self._read(judge=False)

    @property
    @without_frames
    def identity(self) -> str | None:
        """Whose assertion it is by its issuer, subject and session, for the keys of caches, also when it has ended.

        Raises what `fetch` raises, except for time and audience.
        """
        return proof_key(self._read(judge=False))

    def _read(self, *, judge: bool) -> SAMLAssertion:
        from stskit.proofs import browser_log, saml_encoding

        which = ""
        text = read_proof(self.path, "a SAML response", _MAX_BYTES)
        try:
            found = browser_log.newest(text)
            which = f", {found.which}" if found.which else ""
            assertion = SAMLAssertion(saml_encoding.canonical(found.value), self.principal_arn)
            if judge and not assertion.is_encrypted:  # then it is AWS that judges
                self._judge_time(assertion)
                self._judge_audience(assertion.audiences)
        except SourceError as error:
            raise prefixed(error, f"{self.path}{which}: ", path=self.path) from None
        if judge:
            self._report(assertion, which, found.among)
        return assertion

    def _judge_time(self, assertion: SAMLAssertion) -> None:
        now, begin, end = self.clock.now(), assertion.not_before, assertion.not_on_or_after
        if end is not None and now >= end + self.skew:
            raise SignInRequired(
                f"the SAML assertion ended at {end}, and it is {now.replace(microsecond=0)}",
                remedy=f"sign in again and save the new response as {self.path}",
            )
        if begin is not None and now < begin - self.skew:
            raise ProofInvalid(
                f"the SAML assertion counts from {begin}, and it is {now.replace(microsecond=0)}",
                remedy="check the clocks of this machine and of the identity provider",
            )

    def _judge_audience(self, audiences: tuple[str, ...]) -> None:
        from stskit.proofs.saml_parser import is_aws

        if audiences and not any(
            is_aws(each) if self.audience is None else each == self.audience for each in audiences
        ):
            raise ProofInvalid(
                f"the SAML assertion is for {', '.join(audiences)[:200]}, and not for {self.audience or 'AWS'}",
                remedy="save the response posted to the AWS sign-in page, or name the audience: "
                "SAMLFile(path, audience=...)",
                cli_remedy="save the response posted to the AWS sign-in page",
                option="audience",
            )

    def _report(self, assertion: SAMLAssertion, which: str, among: int) -> None:
        if among > 1:
            from logging import getLogger

            getLogger("stskit").info("%s%s: this SAML response is taken", self.path, which)
        if not assertion.is_encrypted and (number := assertion.invalid_role_count):
            warn(
                f"{self.path}{which}: {number} values of the attribute Role are no pair of a role ARN and a SAML "
                "provider ARN, and were left out; have the identity provider correct them",
                StskitWarning,
                stacklevel=5,
            )
