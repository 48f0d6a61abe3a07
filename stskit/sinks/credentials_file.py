"""The shared credentials file of the AWS SDKs and tools, and the config file that goes with it."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from stskit.errors import SinkError, discreet
from stskit.identity import Credentials

if TYPE_CHECKING:
    from stskit._section import Section

__all__ = ["CredentialsFile"]

_NAME: Final = re.compile(r"[A-Za-z0-9_./:%@+-]+")  # what all AWS SDKs read alike
_NOT_A_NAME: Final = ("DEFAULT", "__proto__")  # means something else to the reader in Python, in JavaScript
_VALUE: Final = re.compile(
    r"(?![\"'#;])[!-~]+"
)  # one word of visible ASCII: what all AWS SDKs read back as it was written


def _path(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.path.expanduser(os.fspath(path))


@frozen
class CredentialsFile:
    """A profile in the shared credentials file; all else in the file stays as it is, byte by byte.

    `profile`: the name, of letters, digits and ``_./:%@+-``. `path`: None is ``AWS_SHARED_CREDENTIALS_FILE``, else
    ``~/.aws/credentials``. `region`, `output`: written to the config file, None leaves them alone. `config_path`:
    that file; None is ``AWS_CONFIG_FILE``, else the file ``config`` beside *path* where that is given, else
    ``~/.aws/config``. `lock_timeout`: for how many seconds to wait while another process writes.

    Writers wait for each other by a lock on ``<path>.lock``. A new file has mode 0600, a new folder 0700.
    Raises `SinkError` for a profile, region or output that not all AWS tools would read alike.

    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html
    """

    profile: str
    path: str | None = field(default=None, converter=_path)
    region: str | None = None
    output: str | None = None
    config_path: str | None = field(default=None, kw_only=True, converter=_path)
    lock_timeout: float = field(default=10, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.profile, str) or not _NAME.fullmatch(self.profile) or self.profile in _NOT_A_NAME:
            raise SinkError(
                f"{self.profile!r} is no profile name that all AWS tools read alike; "
                "use letters, digits and _./:%@+- (and neither DEFAULT nor __proto__)"
            )
        for name, value in (("region", self.region), ("output", self.output)):
            if value is not None and not _VALUE.fullmatch(value):
                raise SinkError(
                    f"{name} {value!r} is no word of visible ASCII characters; give one such as us-east-1 or json"
                )

    @discreet  # frames on the way hold all that is in the file
    def write(self, credentials: Credentials, /) -> str:
        """Put *credentials* into the profile, in the place of those that were there; gives the path of the file.

        Raises `SinkError` where they have expired, or where a file cannot be changed safely; it is as it was then.
        """
        if credentials.is_expired():
            raise SinkError(f"the credentials expired at {credentials.expiration}; fetch new ones, and check the clock")
        targets = [*self._config(), self._credentials(credentials)]
        if len({target.real for target in targets}) < len(targets):
            raise SinkError(f"{targets[-1].path} would be the config file as well; name another config_path")
        with ExitStack() as stack:
            for target in targets:
                stack.enter_context(target.locked(self.lock_timeout))
            staged = [stack.enter_context(target.staged()) for target in targets]
            for target, temporary in zip(targets, staged, strict=True):
                target.publish(temporary)
        return targets[-1].path

    def _credentials(self, credentials: Credentials) -> Section:
        from stskit._section import Section

        path = self.path or os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
        values = {
            "aws_access_key_id": credentials.access_key_id,
            "aws_secret_access_key": credentials.secret_access_key,
            "aws_session_token": credentials.session_token,
            "aws_security_token": None,  # the old name of the token; one that stayed would be taken for the new one's
            "aws_account_id": credentials.account_id,
        }
        for name, value in values.items():
            if value is not None and not _VALUE.fullmatch(value):
                raise SinkError(
                    f"{name} has blanks or other characters that no credentials file can hold; check its source"
                )
        return Section(os.path.expanduser(path), self.profile, values)

    def _config(self) -> list[Section]:
        from stskit._section import Section

        values = {"region": self.region, "output": self.output}
        values = {name: value for name, value in values.items() if value is not None}
        beside = os.path.join(os.path.dirname(self.path), "config") if self.path else "~/.aws/config"
        path = self.config_path or os.environ.get("AWS_CONFIG_FILE") or beside
        section = self.profile if self.profile == "default" else f"profile {self.profile}"
        return [Section(os.path.expanduser(path), section, values)] if values else []
