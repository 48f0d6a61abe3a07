"""An OpenID Connect token in a file, as Kubernetes and CI systems leave it there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final
from warnings import warn

from attrs import field, frozen

from stskit._arguments import check_environ, flag, has_method, optional_text, path_text, timespan
from stskit._time import SystemClock
from stskit.credentials import Secret
from stskit.errors import ProofInvalid, SourceMissing, StskitWarning, init_without_frames, without_frames
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
_INLINE: Final = "Save the token in a file and write its path, or write Static(WebIdentityToken(token))"
_INLINE_CLI: Final = "Save the token in a file and write its path: --oidc-token-file FILE"
_VARIABLE: Final = "AWS_WEB_IDENTITY_TOKEN_FILE"
_INLINE_VARIABLE: Final = "Save the token in a file, and set the variable to the path of that file"
_MAX_BYTES: Final = 100_000  # far over the token itself, for blanks around it, or the JSON that it is in
_PAUSES: Final = (0.05, 0.15)  # seconds before an empty file is read again: its writer may be at work
_WHOLE: Final = r"[!-~]{4,20000}"  # by the service model of STS; what is no visible ASCII is in no token


def _path(path: str | os.PathLike[str]) -> str:
    return path_text(path, ProofInvalid, remedy=_INLINE, cli_remedy=_INLINE_CLI)


@init_without_frames
@frozen
class OIDCTokenFile:
    """A file that holds an OpenID Connect token, and nothing else but blanks around it.

    `path`: of the file; ``~`` is the home, and ``-`` is standard input. That and pipes, such as ``<(command)``, are
    read once and kept in memory for this object. `json_field`: the file is a JSON object, and this field of it is the
    token.
    `strict`: refuse what is no signed JSON Web Token; else it is sent with a warning, since some providers' tokens are
    opaque. `skew`: by how much the clock of this machine may be behind the provider's, for tokens that do not count
    yet. `clock`: what it takes the time from.

    The file is read again for every fetch, since whoever writes it puts a new token there before the old one expires.

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
        """The file that ``AWS_WEB_IDENTITY_TOKEN_FILE`` names, in *environ* or else in the environment of this process.

        Raises `SourceMissing` where the variable is not set.

        https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
        """
        check_environ(environ)
        path = (os.environ if environ is None else environ).get(_VARIABLE)
        if not path:
            raise SourceMissing(
                f"{_VARIABLE} is not set",
                remedy="set it to the path of a token file, or name the file: OIDCTokenFile(path)",
                cli_remedy="set it to the path of a token file, or name the file: --oidc-token-file",
                variable=_VARIABLE,
            )
        return cls(path_text(path, ProofInvalid, remedy=_INLINE_VARIABLE, variable=_VARIABLE))

    @without_frames
    def fetch(self) -> WebIdentityToken:
        """Read the file, as it is now. All errors name the file, and nothing of what is in it.

        Raises `SourceMissing` where it is not there, `ProofInvalid` where it holds no token, or one that has expired or
        does not count yet.
        """
        return self.snapshot().fetch()

    @property
    @without_frames
    def identity(self) -> str:
        """A key for caches: for the bytes of the file as it is now, also where the token has expired.

        Raises `SourceMissing` where the file is not there, `ProofInvalid` where it cannot be read.
        """
        return self.snapshot().identity

    @without_frames
    def snapshot(self) -> FileSnapshot[WebIdentityToken, WebIdentityToken]:
        """Read the file now: return a source whose `identity` and `fetch` use these bytes. Raises as `identity`."""
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
                f"{self._name} holds {mistake.what}, not an OIDC token",
                remedy=mistake.remedy,
                cli_remedy=mistake.cli_remedy,
                path=self.path,
            )
        if not re.fullmatch(_WHOLE, text):
            raise ProofInvalid(
                f"{self._name} holds no OIDC token: STS takes 4 to 20,000 characters, without blanks or line breaks "
                f"inside; this has {len(text):,}.",
                remedy="Save the token alone, as it was issued",
                path=self.path,
            )
        return WebIdentityToken(text)

    def _field(self, text: Secret) -> Secret:
        if self.json_field is None:
            if text.startswith(("{", "[{", '["')) and not text.startswith("{{"):
                raise ProofInvalid(
                    f"{self._name} is JSON",
                    remedy="name the field that holds the token: json_field=...",
                    cli_remedy="name the field that holds the token: --json-field NAME",
                    path=self.path,
                    option="json_field",
                )
            return text
        import json

        try:
            value = json.loads(text)
            problem = f"has no field {self.json_field!r} with a token as text"
            if isinstance(value, dict) and isinstance(token := value.get(self.json_field), str):
                return Secret(token)
        except (ValueError, RecursionError):  # it holds the text, so no error may keep it
            problem = "is no JSON"
        raise ProofInvalid(
            f"{self._name} {problem}",
            remedy="have a look at what writes it, or name another field: json_field=...",
            cli_remedy="have a look at what writes it, or name another field: --json-field NAME",
            path=self.path,
            option="json_field",
        )

    def _judge_time(self, token: WebIdentityToken) -> None:
        now, begin, end = self.clock.now(), token.not_before, token.expiration
        if end is not None and now >= end:
            raise ProofInvalid(
                f"{self._name}: the token expired at {end}, and it is {now.replace(microsecond=0)}",
                remedy="see why nothing has renewed the file, and check the clock of this machine",
                path=self.path,
            )
        if begin is not None and now < begin - self.skew:
            raise ProofInvalid(
                f"{self._name}: the token counts from {begin}, and it is {now.replace(microsecond=0)}",
                remedy="check the clock of this machine",
                path=self.path,
            )

    def _judge_form(self, token: WebIdentityToken) -> None:
        if token.is_signed:
            return
        what = "a token without signature" if token.is_jwt else "a token that is no JSON Web Token"
        if self.strict:
            raise ProofInvalid(
                f"{self._name} holds {what}",
                remedy="save the ID token, as it was issued, or leave out strict",
                path=self.path,
            )
        _warn(f"{self._name} holds {what}, which STS may refuse; save the ID token, as it was issued")

    def _judge_mode(self) -> None:
        with suppress(OSError):  # it has been read, and may be gone by now
            if problem := permission_problem(self.path):
                from shlex import quote

                command = f"chmod 600 {quote(self.path)}"
                _warn(f"{self._name} holds a token and {problem}; make it yours alone: {command}")


def _warn(message: str) -> None:
    warn(message, StskitWarning, stacklevel=8)  # where `fetch` was called, and so shown once for each such place
