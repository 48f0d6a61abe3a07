"""Run the practice AWS of ``python -m stskit.testing``: a `FakeSTS` server, and a folder with files for it."""

from __future__ import annotations

import os
import shlex
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from threading import Event
from typing import Final

from attrs import field, frozen

from stskit.credentials import Credentials
from stskit.errors import SourceMissing
from stskit.testing.fake_sts import FakeSTS

__all__ = ["PracticeFolder", "main"]

_ROLES: Final = tuple(f"arn:aws:iam::123456789012:role/{name}" for name in ("Deploy", "ReadOnly"))
_REGION: Final = "us-east-1"
_RENEWAL: Final = 60  # seconds; a SAML response is valid for five minutes
_MARK: Final = ".stskit-practice"  # the file that marks such a folder
_NAMES: Final = ("samlresponse.log", "token", "credentials", "config", "practice.env", _MARK)
_LEFTOVERS: Final = tuple(
    f"{name}.{end}" for name in ("credentials", "config") for end in ("lock", "bak")
)  # files that stskit may leave
# Variables that would select another endpoint or other credentials.
_UNSET: Final = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
    *("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"),
    *("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ENDPOINT_URL_STS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
)


def _absolute(path: str | Path) -> Path:
    return Path(path).absolute()


@frozen
class PracticeFolder:
    """The folder of a practice AWS, and its STS."""

    folder: Path = field(converter=_absolute)
    sts: FakeSTS

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Create the folder, and hold a lock in it during the block.

        Raises `OSError` if it exists and has other files, or if another practice AWS uses it.
        """
        if self.folder.is_symlink() or (self.folder.exists() and not self._is_ours()):
            raise FileExistsError(f"{self.folder} exists and is not empty. Choose another folder.")
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.folder.chmod(0o700)
        with open(os.open(self.folder / _MARK, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w") as mark:
            try:
                flock(mark, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                problem = f"Another practice AWS uses {self.folder}. Stop it first, or choose another folder."
                raise FileExistsError(problem) from None
            yield

    def make(self, url: str) -> None:
        """Create the files in the reserved folder. Raises `SourceMissing` without the extra."""
        self._write("credentials", _profile("base", self.sts.user("developer")))
        self._write("config", f"[default]\nregion = {_REGION}\n\n[profile base]\nregion = {_REGION}\n")
        self._write("practice.env", self._variables(url))
        self.renew()

    def renew(self) -> None:
        """Replace the SAML response and the token by new ones."""
        idp = self.sts.idp
        self._write("samlresponse.log", f"{idp.saml_response(roles=_ROLES)}\n")
        self._write("token", f"{idp.oidc_token()}\n")

    def remove(self) -> bool:
        """Remove the files, and the folder if it has no others. Return whether the folder was removed.

        A folder with other files keeps its mark, so that the next practice AWS can use it.
        """
        for name in (*_NAMES, *_LEFTOVERS):
            (self.folder / name).unlink(missing_ok=True)
        try:
            self.folder.rmdir()
        except OSError:
            (self.folder / _MARK).touch()
        return not self.folder.exists()

    def introduction(self, url: str, shown: str) -> str:
        """Return the text that is shown at the start. *shown* is the name of the folder as it was typed."""
        env, response = (shlex.quote(f"{shown}/{name}") for name in ("practice.env", "samlresponse.log"))
        return (
            f"A practice AWS is at {url}. It does not connect to AWS, and your ~/.aws is not changed.\n\n"
            f"Files in {shown}:\n"
            "  samlresponse.log   SAML response of alice, which offers the roles Deploy and ReadOnly\n"
            "  token              OIDC token of alice; both files are renewed every minute\n"
            "  credentials        profile base: long-term keys of the user developer\n"
            "  practice.env       variables that point a shell to the practice AWS\n\n"
            "Every role of the account 123456789012 can be assumed. In another terminal, in the same folder, type:\n"
            f"  . {env}\n"
            "  stskit whoami --profile base\n"
            f"  stskit assume Deploy --saml-file {response} --to-profile deploy\n\n"
            f"Press Ctrl-C to stop it and to remove {shown}.\n"
        )

    def _is_ours(self) -> bool:
        return self.folder.is_dir() and (not any(self.folder.iterdir()) or (self.folder / _MARK).is_file())

    def _variables(self, url: str) -> str:
        values: Mapping[str, str] = {
            "AWS_ENDPOINT_URL": url,
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "credentials"),
            "AWS_CONFIG_FILE": str(self.folder / "config"),
            "AWS_REGION": _REGION,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        lines = [f"unset {' '.join(_UNSET)}", *(f"export {name}={shlex.quote(text)}" for name, text in values.items())]
        return "\n".join(lines) + "\n"

    def _write(self, name: str, text: str) -> None:
        """Replace a file atomically, so that no process reads a part of it."""
        new = self.folder / f".{name}.new"
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        with open(descriptor, "w") as file:
            file.write(text)
        new.replace(self.folder / name)


def main(arguments: Sequence[str], *, wait: Callable[[Event, float], bool] = Event.wait) -> int:
    """Run until Ctrl-C or SIGTERM, and return the exit code. *wait* waits some seconds for the signal."""
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        sys.stderr.write("usage: python -m stskit.testing [FOLDER]    run a practice AWS (default: ./practice)\n")
        return 2
    shown = arguments[0] if arguments else "practice"
    practice = PracticeFolder(shown, FakeSTS())
    with _stop_event() as stop, practice.sts.serve() as url:
        try:
            with practice.reserved():
                return _run(practice, url, shown, lambda: wait(stop, _RENEWAL))
        except OSError as error:
            sys.stderr.write(f"stskit.testing: {error}\n")
            return 1


def _run(practice: PracticeFolder, url: str, shown: str, is_stopped: Callable[[], bool]) -> int:
    try:
        practice.make(url)
        _print(practice.introduction(url, shown))
        while not is_stopped():
            practice.renew()
    except (OSError, SourceMissing) as error:
        text = str(error) if isinstance(error, SourceMissing) else f"{shown} cannot be written: {error.strerror}."
        sys.stderr.write(f"stskit.testing: {text}\n")
        return 1
    finally:
        if not practice.remove():
            _print(f"{shown} was not removed, because it contains other files. You can use it again.\n")
    return 0


def _print(text: str) -> None:
    """Print *text* if standard output is open."""
    if sys.stdout is not None:  # closed by ``>&-``
        with suppress(OSError):
            sys.stdout.write(text)
            sys.stdout.flush()


@contextmanager
def _stop_event() -> Iterator[Event]:
    """Yield an event that SIGINT and SIGTERM set."""
    stop = Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _profile(name: str, keys: Credentials) -> str:
    return f"[{name}]\naws_access_key_id = {keys.access_key_id}\naws_secret_access_key = {keys.secret_access_key}\n"
