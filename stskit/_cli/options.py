"""The options of the command line, in the groups that the help shows."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from typing import Any, Final, get_args

from attrs import field, frozen

from stskit.sinks.shell_exports import Shell

__all__ = [
    "CALL",
    "DOCTOR",
    "FILES",
    "JSON",
    "KEYS",
    "MFA",
    "PROGRAM",
    "PROOF",
    "ROLE",
    "SERVER",
    "WHERE",
    "Option",
    "add_group",
]

_TIME: Final = r"(?=.)(?:(\d{1,3})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s?)?"


def _seconds(text: str) -> int:
    found = re.fullmatch(_TIME, text, re.ASCII)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no time; write it as 3600, 90s, 15m or 1h30m")
    hours, minutes, rest = (int(each or 0) for each in found.groups())
    return hours * 3600 + minutes * 60 + rest


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ArgumentTypeError(f"{text!r} is no tag; write it as KEY=VALUE")
    return key, value


_FLAG: Final[dict[str, Any]] = {"action": "store_true"}
_SECONDS: Final[dict[str, Any]] = {"type": _seconds}
_AGAIN: Final[dict[str, Any]] = {"action": "append", "default": []}
_SHELL: Final[dict[str, Any]] = {"nargs": "?", "const": "sh", "choices": get_args(Shell)}


@frozen
class Option:
    """An option: its name, what stands for its value in the help, what it is for, and how argparse reads it."""

    name: str
    metavar: str
    help: str
    how: Mapping[str, Any] = field(factory=dict)


KEYS: Final = (
    Option("--profile", "NAME", "a profile in ~/.aws/config or ~/.aws/credentials"),
    Option("--keys-file", "FILE", "credentials in JSON, as aws sts prints them; - is standard input"),
)
FILES: Final = (
    *KEYS,
    Option("--saml-file", "FILE", "a SAML response, in whatever way it was saved; a browser's HAR file too"),
    Option("--oidc-token-file", "FILE", "an OIDC token"),
    Option("--json-field", "NAME", "that file is JSON, and this is the field with the token"),
)
PROOF: Final = (
    *FILES,
    Option("--principal-arn", "ARN", "the SAML provider, where the assertion is encrypted"),
    Option("--from-env", "", "AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, as Kubernetes sets them", _FLAG),
)
MFA: Final = (
    Option("--mfa-serial", "SERIAL", "ARN or serial number of the device; its code is asked for"),
    Option("--mfa-command", "COMMAND", "what prints the code, such as 'ykman oath accounts code -s aws'"),
    Option("--session-token", "", "give the code to GetSessionToken, and go on from that session", _FLAG),
)
ROLE: Final = (
    Option("--session-name", "NAME", "what CloudTrail shows"),
    Option("--duration", "TIME", "such as 3600, 15m or 1h", _SECONDS),
    Option("--policy-file", "FILE", "a session policy, in JSON; - is standard input"),
    Option("--policy-arn", "ARN", "a managed policy; may be repeated", _AGAIN),
    Option("--tag", "KEY=VALUE", "a session tag; may be repeated", {**_AGAIN, "type": _tag}),
    Option("--transitive-tag", "KEY", "a tag that goes on to chained roles; may be repeated", _AGAIN),
    Option("--external-id", "ID", "what a third party's trust policy asks for"),
    Option("--source-identity", "NAME", "who is behind the session"),
)
ENDPOINT: Final = (
    Option("--region", "REGION", "the region of STS"),
    Option("--endpoint-url", "URL", "another server than AWS's"),
    Option("--use-fips", "", "the FIPS endpoint", _FLAG),
)
SERVER: Final = (
    *ENDPOINT,
    Option("--allow-http", "", "let that server be one without TLS on another machine", _FLAG),
)
CALL: Final = (
    *SERVER,
    Option("--wait-for-new-role", "TIME", "how long to try a role just made, up to 1m", {**_SECONDS, "default": 0}),
    Option("--cache", "", "keep credentials in ~/.cache/stskit until they expire, for later calls", _FLAG),
)
WHERE: Final = (
    Option("--to-profile", "NAME", "a profile in ~/.aws/credentials; all else there stays as it is"),
    Option("--to-shell", "SHELL", f"text for eval: {', '.join(get_args(Shell))}; none is sh", _SHELL),
    Option("--to-dotenv", "FILE", "a .env file"),
    Option("--to-process", "", "the document of a credential_process", _FLAG),
    Option("--set-region", "REGION", "the region to write there, for a profile to the config file"),
    Option("--set-output", "FORMAT", "the output format of the AWS CLI, for a profile"),
    Option("--credentials-file", "FILE", "another file than ~/.aws/credentials"),
    Option("--config-file", "FILE", "another file than ~/.aws/config"),
    Option("--overwrite", "", "let long-term keys, or another source of the profile, be lost", _FLAG),
    Option("--backup", "", "keep what was there before beside the file", _FLAG),
    Option("--any-name", "", "take a name of a profile that not all tools read alike", _FLAG),
)
PROGRAM: Final = (Option("--set-region", "REGION", "the region for the command; else it is that of --profile"),)
DOCTOR: Final = (
    *ENDPOINT,
    Option("--offline", "", "do not ask STS what time it is", _FLAG),
    Option("--run", "", "fetch the profile's credentials, even if that runs a program or calls AWS", _FLAG),
)
JSON: Final = (Option("--json", "", "write results to standard output, and errors to standard error, as JSON", _FLAG),)


def add_group(parser: ArgumentParser, title: str, options: tuple[Option, ...]) -> None:
    """Let *parser* take *options*, under *title*."""
    group = parser.add_argument_group(title)
    for option in options:
        value: dict[str, Any] = {"metavar": option.metavar} if option.metavar else {}
        group.add_argument(option.name, help=option.help, **value, **option.how)
