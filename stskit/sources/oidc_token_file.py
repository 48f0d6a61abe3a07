"""A source that reads an OIDC token from a file, as Kubernetes and CI systems provide it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

from attrs import field, frozen

from stskit._arguments import check_environ, flag, has_method, optional_text, path_text, timespan
from stskit._time import SystemClock, shown_time
from stskit.credentials import Secret
from stskit.errors import ProofInvalid, SourceMissing, StskitWarning, init_without_frames, warn_caller, without_frames
from stskit.proofs import WebIdentityToken
from stskit.protocols import Clock
from stskit.sources.proof_file import (
    FileSnapshot,
    KeptStream,
    display_name,
    permission_problem,
    read_bytes,
    text_in,
)

__all__ = ["OIDCTokenFile"]

_WHAT: Final = "an OIDC token"
_INLINE: Final = "Save the token in a file and pass its path, or pass Static(WebIdentityToken(token))."
_INLINE_CLI: Final = "Save the token in a file and pass its path: --oidc-token-file FILE"
_VARIABLE: Final = "AWS_WEB_IDENTITY_TOKEN_FILE"
_INLINE_VARIABLE: Final = "Save the token in a file, and set the variable to the path of the file."
_MAX_BYTES: Final = 100_000  # much more than a token, for white space or the JSON around it
_PAUSES: Final = (0.05, 0.15)  # seconds before an empty file is read again, because another program may be writing it
_WHOLE: Final = r"[!-~]{4,20000}"  # by the service model of STS; a token has only visible ASCII characters


def _path(path: str | os.PathLike[str]) -> str:
    return path_text(path, ProofInvalid, remedy=_INLINE, cli_remedy=_INLINE_CLI)


@init_without_frames
@frozen
class OIDCTokenFile:
    """A source that reads an OpenID Connect token from a file. White space around the token is ignored.

    The file is read again for every fetch, because the program that writes it replaces the token before it expires. A
    file that other users can read causes a `StskitWarning`.

    Args:
        path: Path of the file. ``~`` is the home folder, and ``-`` is standard input. Standard input and pipes are read
            once and kept in memory.
        json_field: Name of the field that has the token, if the file is a JSON object. Defaults to none.
        strict: Whether to refuse a token that is not a signed JSON Web Token. Defaults to False: such a token is sent
            with a warning, because some providers issue opaque tokens.
        skew: How far the clock of this machine may be behind the provider's, as a timedelta. Defaults to 4 minutes.
        clock: The source of the time. Defaults to the system clock.

    Raises:
        ProofInvalid: If the path is a token instead.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import assume
        >>> from stskit.sources import OIDCTokenFile
        >>> assume("arn:aws:iam::123456789012:role/CI", source=OIDCTokenFile("token")).audience
        'sts.amazonaws.com'

    https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html
    """

    path: str = field(converter=_path)
    json_field: str | None = field(default=None, kw_only=True, repr=False, validator=optional_text)
    strict: bool = field(default=False, kw_only=True, repr=False, validator=flag)
    skew: timedelta = field(default=timedelta(minutes=4), kw_only=True, repr=False, validator=timespan)
    clock: Clock = field(factory=SystemClock, kw_only=True, repr=False, validator=has_method("now", "a clock"))
    _stream: KeptStream = field(factory=KeptStream, init=False, repr=False, eq=False)

    @classmethod
    @without_frames
    def from_env(cls, environ: Mapping[str, str] | None = None) -> OIDCTokenFile:
        """Return the source for the file that ``AWS_WEB_IDENTITY_TOKEN_FILE`` names.

        Args:
            environ: Environment variables. Defaults to those of this process.

        Returns:
            The source.

        Raises:
            SourceMissing: If the variable is not set.
            ProofInvalid: If the variable contains a token instead of a path.
            TypeError: If *environ* is not a mapping of texts.

        https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
        """
        check_environ(environ)
        path = (os.environ if environ is None else environ).get(_VARIABLE)
        if not path:
            raise SourceMissing(
                f"The environment variable {_VARIABLE} is not set.",
                remedy="Set it to the path of a token file, or pass the file: OIDCTokenFile(path).",
                cli_remedy="Set it to the path of a token file, or pass the file: --oidc-token-file FILE",
                variable=_VARIABLE,
            )
        return cls(path_text(path, ProofInvalid, remedy=_INLINE_VARIABLE, variable=_VARIABLE))

    @without_frames
    def fetch(self) -> WebIdentityToken:
        """Read the file and return its token. Errors name the file and do not quote its content.

        Returns:
            The token. It has not expired.

        Raises:
            SourceMissing: If there is no such file.
            ProofInvalid: If the file contains no token, or one that has expired or is not valid yet.
        """
        return self.snapshot().fetch()

    @property
    @without_frames
    def identity(self) -> str:
        """The cache key of the bytes of the file as it is now, also if the token has expired.

        Raises `SourceMissing` if there is no such file, and `ProofInvalid` if it cannot be read.
        """
        return self.snapshot().identity

    @without_frames
    def snapshot(self) -> FileSnapshot[WebIdentityToken, WebIdentityToken]:
        """Read the file, and return a source whose `identity` and `fetch` use the same bytes.

        Returns:
            A source.

        Raises:
            SourceMissing: If there is no such file.
            ProofInvalid: If it cannot be read.
        """
        data = read_bytes(self.path, _WHAT, _MAX_BYTES, pauses=_PAUSES, stream=self._stream)
        return FileSnapshot("OIDC", data, (self.json_field,), self._parse, self._judge)

    def _judge(self, token: WebIdentityToken) -> WebIdentityToken:
        self._judge_time(token)
        self._judge_form(token)
        self._judge_mode()
        return token

    @property
    def _name(self) -> str:
        return display_name(self.path)

    def _parse(self, data: bytes) -> WebIdentityToken:
        from stskit.proofs.token_form import mistake_in

        text = self._field(text_in(data, self.path, _WHAT))
        if mistake := mistake_in(text):
            raise ProofInvalid(
                f"{self._name} contains {mistake.what}, not an OIDC token.",
                remedy=mistake.remedy,
                cli_remedy=mistake.cli_remedy,
                path=self.path,
            )
        if not re.fullmatch(_WHOLE, text):
            raise ProofInvalid(
                f"{self._name} contains {len(text):,} characters that are not an OIDC token: a token has 4 to 20,000 "
                "characters, without spaces or line breaks.",
                remedy="Save only the token, as it was issued.",
                path=self.path,
            )
        return WebIdentityToken(text)

    def _field(self, text: Secret) -> Secret:
        if self.json_field is None:
            if text.startswith(("{", "[{", '["')) and not text.startswith("{{"):
                raise ProofInvalid(
                    f"{self._name} contains JSON, not only an OIDC token.",
                    remedy="Pass the name of the field that has the token: json_field=...",
                    cli_remedy="Pass the name of the field that has the token: --json-field NAME",
                    path=self.path,
                    option="json_field",
                )
            return text
        import json

        try:
            value = json.loads(text)
            problem = f"has no field {self.json_field!r} that is text."
            if isinstance(value, dict) and isinstance(token := value.get(self.json_field), str):
                return Secret(token)
        except (ValueError, RecursionError):  # the exception has the text, so it must not become a cause
            problem = "is not valid JSON."
        raise ProofInvalid(
            f"{self._name} {problem}",
            remedy="Check the program that writes it, or pass the name of another field: json_field=...",
            cli_remedy="Check the program that writes it, or pass the name of another field: --json-field NAME",
            path=self.path,
            option="json_field",
        )

    def _judge_time(self, token: WebIdentityToken) -> None:
        now, begin, end = self.clock.now(), token.not_before, token.expiration
        if end is not None and now >= end:
            raise ProofInvalid(
                f"{self._name}: the token expired at {shown_time(end)}. The time is {shown_time(now)}.",
                remedy="Check the program that renews the file, and the clock of this machine.",
                path=self.path,
            )
        if begin is not None and now < begin - self.skew:
            raise ProofInvalid(
                f"{self._name}: the token is not valid before {shown_time(begin)}. The time is {shown_time(now)}.",
                remedy="Check the clock of this machine.",
                path=self.path,
            )

    def _judge_form(self, token: WebIdentityToken) -> None:
        if token.is_signed:
            return
        what = "a token without a signature" if token.is_jwt else "a token that is not a JSON Web Token"
        if self.strict:
            raise ProofInvalid(
                f"{self._name} contains {what}, and strict=True refuses it.",
                remedy="Save the ID token as it was issued, or omit strict.",
                path=self.path,
            )
        warn_caller(
            f"{self._name} contains {what}, which STS may refuse. Save the ID token as it was issued.", StskitWarning
        )

    def _judge_mode(self) -> None:
        with suppress(OSError):  # the file was read, and may have been removed since
            if problem := permission_problem(self.path):
                from shlex import quote

                command = f"chmod 600 {quote(self.path)}"
                warn_caller(f"{self._name} contains a token and {problem}. Run: {command}", StskitWarning)
