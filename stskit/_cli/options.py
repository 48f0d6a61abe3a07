"""The options of the command line. Each is declared once: for argparse, the checks, the calls and the errors."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal, TypeAlias, get_args

from attrs import field, frozen

from stskit._arguments import quoted
from stskit.errors import SinkError, StskitError
from stskit.sinks import Shell

__all__ = [
    "CALL",
    "DOCTOR",
    "FILES",
    "JSON",
    "KEYS",
    "MFA",
    "PROOF",
    "ROLE",
    "SERVER",
    "WHERE",
    "Option",
    "UsageError",
    "add_group",
    "arguments_for",
    "check",
    "check_only_one",
    "flag_for",
    "is_among",
    "uses_no_role",
]

Purpose: TypeAlias = Literal["source", "role", "call", "destination"]

_Sink: TypeAlias = Literal["CredentialsFile", "DotEnv", "ShellExports", "Environment"]
_Part: TypeAlias = Literal[
    "AssumedRole", "BotocoreSTS", "Cached", "MFA", "OIDCTokenFile", "Profile", "Role", "SAMLFile", _Sink
]
"""A class of stskit, by its name: a command imports only those that it uses."""
_SINKS: Final[tuple[_Sink, ...]] = get_args(_Sink)
_TIME: Final = r"(?=.)(?:(\d{1,3})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s?)?"
_REGION: Final = r"(?![0-9]+$)(?!-)[a-zA-Z0-9-]{,63}(?<!-)"  # a part of a host name, as botocore checks it


class UsageError(StskitError):
    """The arguments do not say what to do, or do not go together; nothing was done."""


def _time(text: str) -> timedelta:
    found = re.fullmatch(_TIME, text, re.ASCII)
    if found is None:
        raise ArgumentTypeError(f"{quoted(text)} is no time; write it as 3600, 90s, 15m or 1h30m")
    hours, minutes, seconds = (int(each or 0) for each in found.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _region(text: str) -> str:
    if text and not re.fullmatch(_REGION, text):
        raise ArgumentTypeError(f"{text!r} is not a valid region. Expected a name such as eu-central-1")
    return text


def _url(text: str) -> str:
    """Return *text* where it is a URL; no error quotes it, because it may have a password in it."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of brackets, or of a port that is not a number up to 65535
        is_valid = False
    if text and not is_valid:
        raise ArgumentTypeError("this is not a valid URL. Expected https://HOST or https://HOST:PORT")
    return text


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ArgumentTypeError(f"{quoted(text)} is no tag; write it as KEY=VALUE")
    return key, value


@frozen
class Option:
    """An option of the command line."""

    flag: str
    """The option as it is typed."""
    metavar: str
    """What stands for its value in the help; empty where it takes none."""
    help: str
    """What it is for."""
    parsing: Mapping[str, Any] = field(factory=dict)
    """Further arguments of argparse's ``add_argument``."""
    purpose: Purpose | None = field(default=None, kw_only=True)
    """``"source"``: it names the source of proof, and only one option can. ``"destination"``: it says where the
    credentials go, and only one option can. ``"role"``: it has no effect without a role. ``"call"``: it has no effect
    where STS is not called.
    """
    needs: Sequence[str] = field(default=(), kw_only=True)
    """Other options; without one of them this option has no effect."""
    excludes: Sequence[str] = field(default=(), kw_only=True)
    """Other options; none of them can be given with this one."""
    reads_file: bool = field(default=False, kw_only=True)
    """Whether its value is a file to read, of which ``-`` is standard input."""
    arguments: Mapping[_Part, str] = field(factory=dict, kw_only=True)
    """The Python arguments that it stands for: the name of each class, and of its argument."""

    @property
    def name(self) -> str:
        """The name of its value in the namespace of argparse."""
        return self.flag.removeprefix("--").replace("-", "_")

    def value_in(self, args: Namespace) -> Any:
        """Return its value in *args*; None where it was not given. An empty text is a value."""
        value = getattr(args, self.name, None)
        return None if value is False or value == [] else value


_SWITCH: Final[dict[str, Any]] = {"action": "store_true"}
_DURATION: Final[dict[str, Any]] = {"type": _time}
_PLACE: Final[dict[str, Any]] = {"type": _region}
_REPEATED: Final[dict[str, Any]] = {"action": "append", "default": []}
_SHELL: Final[dict[str, Any]] = {"nargs": "?", "const": "sh", "choices": get_args(Shell)}

KEYS: Final = (
    Option(
        "--profile",
        "NAME",
        "a profile in ~/.aws/config or ~/.aws/credentials",
        purpose="source",
        arguments={"Profile": "name"},
    ),
    Option(
        "--keys-file",
        "FILE",
        "credentials in JSON, as aws sts prints them; - is standard input",
        purpose="source",
        reads_file=True,
    ),
)
FILES: Final = (
    *KEYS,
    Option(
        "--saml-file",
        "FILE",
        "a SAML response, in whatever way it was saved; a browser's HAR file too; - is standard input",
        purpose="source",
        reads_file=True,
        arguments={"SAMLFile": "path"},
    ),
    Option(
        "--oidc-token-file",
        "FILE",
        "an OIDC token; - is standard input",
        purpose="source",
        reads_file=True,
        arguments={"OIDCTokenFile": "path"},
    ),
    Option(
        "--json-field",
        "NAME",
        "that file is JSON, and this is the field with the token",
        needs=["--oidc-token-file"],
        arguments={"OIDCTokenFile": "json_field"},
    ),
)
PROOF: Final = (
    *FILES,
    Option(
        "--principal-arn",
        "ARN",
        "the SAML provider, where the assertion is encrypted",
        needs=["--saml-file"],
        arguments={"SAMLFile": "principal_arn"},
    ),
    Option(
        "--from-env",
        "",
        "AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, as Kubernetes sets them",
        _SWITCH,
        purpose="source",
    ),
)
MFA: Final = (
    Option(
        "--mfa-serial",
        "SERIAL",
        "ARN or serial number of the device; its code is asked for",
        arguments={"MFA": "serial", "Role": "mfa"},
    ),
    Option(
        "--mfa-command",
        "COMMAND",
        "what prints the code, such as 'ykman oath accounts code -s aws'",
        needs=["--mfa-serial"],
    ),
    Option(
        "--token-code",
        "CODE",
        "the code of the device, which works once; without it and --mfa-command, stskit asks for it",
        needs=["--mfa-serial"],
        excludes=["--mfa-command"],
        arguments={"MFA": "code"},
    ),
    Option("--session-token", "", "give the code to GetSessionToken, and go on from that session", _SWITCH),
)
ROLE: Final = (
    Option("--session-name", "NAME", "what CloudTrail shows", purpose="role", arguments={"Role": "session_name"}),
    Option("--duration", "TIME", "such as 3600, 15m or 1h", _DURATION, purpose="role", arguments={"Role": "duration"}),
    Option(
        "--policy-file",
        "FILE",
        "a session policy, in JSON; - is standard input",
        purpose="role",
        reads_file=True,
        arguments={"Role": "policy"},
    ),
    Option(
        "--policy-arn",
        "ARN",
        "a managed policy; may be repeated",
        _REPEATED,
        purpose="role",
        arguments={"Role": "policy_arns"},
    ),
    Option(
        "--tag",
        "KEY=VALUE",
        "a session tag; may be repeated",
        {**_REPEATED, "type": _tag},
        purpose="role",
        arguments={"Role": "tags"},
    ),
    Option(
        "--transitive-tag",
        "KEY",
        "a tag that goes on to chained roles; may be repeated",
        _REPEATED,
        purpose="role",
        arguments={"Role": "transitive_tag_keys"},
    ),
    Option(
        "--external-id",
        "ID",
        "the external ID that a third party's trust policy requires; other users of this machine can see it in the "
        "process list, so prefer --external-id-file",
        purpose="role",
        excludes=["--external-id-file"],
        arguments={"Role": "external_id"},
    ),
    Option(
        "--external-id-file",
        "FILE",
        "a file with the external ID; - is standard input",
        purpose="role",
        reads_file=True,
        arguments={"Role": "external_id"},
    ),
    Option(
        "--source-identity",
        "NAME",
        "who is behind the session",
        purpose="role",
        arguments={"Role": "source_identity"},
    ),
)
ENDPOINT: Final = (
    Option(
        "--endpoint-url",
        "URL",
        "another server than AWS's",
        {"type": _url},
        purpose="call",
        arguments={"BotocoreSTS": "endpoint_url"},
    ),
    Option(
        "--use-fips",
        "",
        "the FIPS endpoint",
        _SWITCH,
        purpose="call",
        excludes=["--endpoint-url"],
        arguments={"BotocoreSTS": "use_fips"},
    ),
    Option(
        "--allow-http",
        "",
        "allow plain HTTP to a remote endpoint, which the option, the environment or the profile names",
        _SWITCH,
        arguments={"BotocoreSTS": "allow_http", "Profile": "allow_http"},
    ),
)
SERVER: Final = (
    Option("--region", "REGION", "the region of STS", _PLACE, purpose="call", arguments={"BotocoreSTS": "region"}),
    *ENDPOINT,
)
CALL: Final = (
    Option(
        "--region",
        "REGION",
        "the region of STS, and of the profile, shell, file or command that receives the credentials",
        _PLACE,
        arguments=dict.fromkeys(("BotocoreSTS", *_SINKS), "region"),
    ),
    Option(
        "--sts-region",
        "REGION",
        "the region of STS, if it differs from --region",
        _PLACE,
        purpose="call",
        arguments={"BotocoreSTS": "region"},
    ),
    *ENDPOINT,
    Option(
        "--wait-for-new-role",
        "TIME",
        "how long to try a role just made, up to 1m",
        _DURATION,
        purpose="role",
        arguments={"AssumedRole": "wait_for_new_role"},
    ),
    Option("--cache", "", "keep credentials in ~/.cache/stskit until they expire, for later calls", _SWITCH),
    Option(
        "--cache-key",
        "NAME",
        "a name for the identity that --profile or the machine stands for. --cache needs it if stskit cannot see that "
        "identity: with a credential_process, container or instance credentials",
        needs=["--cache"],
        arguments={"Cached": "key"},
    ),
)
WHERE: Final = (
    Option(
        "--to-profile",
        "NAME",
        "a profile in ~/.aws/credentials; all else there stays as it is",
        purpose="destination",
        arguments={"CredentialsFile": "profile"},
    ),
    Option(
        "--to-shell",
        "SHELL",
        f"text for eval: {', '.join(get_args(Shell))}; none is sh",
        _SHELL,
        purpose="destination",
        arguments={"ShellExports": "shell"},
    ),
    Option("--to-dotenv", "FILE", "a .env file", purpose="destination", arguments={"DotEnv": "path"}),
    Option("--to-process", "", "the document of a credential_process", _SWITCH, purpose="destination"),
    Option(
        "--set-output",
        "FORMAT",
        "the output format of the AWS CLI, for a profile",
        needs=["--to-profile"],
        arguments={"CredentialsFile": "output"},
    ),
    Option(
        "--credentials-file",
        "FILE",
        "another file than ~/.aws/credentials",
        needs=["--to-profile"],
        arguments={"CredentialsFile": "path"},
    ),
    Option(
        "--config-file",
        "FILE",
        "another file than ~/.aws/config",
        needs=["--to-profile"],
        arguments={"CredentialsFile": "config_path"},
    ),
    Option(
        "--overwrite",
        "",
        "let long-term keys, or another source of the profile, be lost",
        _SWITCH,
        needs=["--to-profile"],
        arguments={"CredentialsFile": "overwrite"},
    ),
    Option(
        "--backup",
        "",
        "keep what was there before beside the file",
        _SWITCH,
        needs=["--to-profile", "--to-dotenv"],
        arguments={"CredentialsFile": "backup", "DotEnv": "backup"},
    ),
)
DOCTOR: Final = (
    *SERVER,
    Option("--offline", "", "do not ask STS what time it is", _SWITCH),
    Option(
        "--run",
        "",
        "fetch the profile's credentials, even if that runs a program or calls AWS",
        _SWITCH,
        excludes=["--offline", "--saml-file", "--oidc-token-file", "--keys-file"],
    ),
)
JSON: Final = (
    Option("--json", "", "write results to standard output, and errors to standard error, as JSON", _SWITCH),
)


def add_group(parser: ArgumentParser, title: str, options: Sequence[Option]) -> None:
    """Let *parser* take *options*, under *title*."""
    group = parser.add_argument_group(title)
    for option in options:
        value: dict[str, Any] = {"metavar": option.metavar} if option.metavar else {}
        group.add_argument(option.flag, help=option.help, **value, **option.parsing)


def arguments_for(target: type, args: Namespace) -> dict[str, Any]:
    """Return the arguments for a call of *target* that the options in *args* stand for, without those not given."""
    return {
        argument: value
        for option in args.options
        for part, argument in option.arguments.items()
        if part == target.__name__ and (value := option.value_in(args)) is not None
    }


def is_among(flag: str, words: Sequence[str]) -> bool:
    """Return whether the option *flag* is one of *words*, the arguments of the command line."""
    return any(word == flag or word.startswith(f"{flag}=") for word in words)


def flag_for(error: StskitError, words: Sequence[str]) -> str | None:
    """Return the option that stands for the Python argument that *error* names; None where there is none, or several.

    Both STS and a sink have an argument ``region``, so the class of the error decides between these two. Where several
    options set one argument, it is the last of them that is in *words*, the arguments of the command line.
    """
    of_sink = isinstance(error, SinkError)
    options = [
        option
        for option in (*PROOF, *MFA, *ROLE, *CALL, *WHERE)
        if any(
            argument == error.option and (target in _SINKS) == of_sink for target, argument in option.arguments.items()
        )
    ]
    chosen = [option for option in options if is_among(option.flag, words)][-1:] or options
    return chosen[0].flag if len(chosen) == 1 else None


def check(args: Namespace) -> None:
    """Raise `UsageError` where an option would have no effect, or where two contradict each other."""
    given = {option.flag: option for option in args.options if option.value_in(args) is not None}
    for flag, option in given.items():
        if option.value_in(args) == "":  # as an unset variable of a shell leaves it
            raise UsageError(f"{flag} is empty", remedy="leave it out, or give it a value", option=flag)
    check_only_one(args, "source")
    for flag, option in given.items():
        if excluded := [each for each in option.excludes if each in given]:
            raise UsageError(f"{flag} and {excluded[0]} do not go together", remedy="give one of them", option=flag)
        if option.needs and not given.keys() & {*option.needs}:
            needed = " or ".join(option.needs[:2])
            raise UsageError(f"{flag} goes with {needed}", remedy="leave it out, or add that", option=flag)
    _check_standard_input(args, given)
    if "--session-token" in given and given.keys() & {"--saml-file", "--oidc-token-file", "--from-env"}:
        raise UsageError(
            "--session-token is for the long-term keys of a user: --profile or --keys-file",
            remedy="leave it out",
            option="--session-token",
        )
    if "--allow-http" in given and str(getattr(args, "endpoint_url", "")).startswith("https:"):
        raise UsageError(
            "--allow-http has no effect on an https endpoint", remedy="leave it out", option="--allow-http"
        )
    if hasattr(args, "roles"):
        _check_region(args, given)
        if uses_no_role(args):
            _check_without_role(given)
    if "--from-env" in given and args.roles:
        raise UsageError(
            "--from-env takes the role from AWS_ROLE_ARN",
            remedy="name no other, or leave --from-env out",
            option="--from-env",
        )


def _check_standard_input(args: Namespace, given: Mapping[str, Option]) -> None:
    readers = [flag for flag, option in given.items() if option.reads_file and option.value_in(args) == "-"]
    if len(readers) > 1:
        raise UsageError(
            f"{' and '.join(readers)} cannot both read standard input",
            remedy="give a file for one of them",
            option=readers[0],
        )


def _check_region(args: Namespace, given: Mapping[str, Option]) -> None:
    """Raise `UsageError` where ``--region`` has no effect: where it is neither that of STS nor of a destination."""
    is_of_destination = args.command == "exec" or bool(given.keys() & {"--to-profile", "--to-shell", "--to-dotenv"})
    if "--region" not in given or is_of_destination:
        return
    if "--sts-region" in given:
        raise UsageError(
            "--region has no effect beside --sts-region: this output has no region",
            remedy="leave one of them out",
            option="--region",
        )
    if uses_no_role(args) and not args.session_token:
        raise UsageError(
            "--region has no effect: STS is not called without a role, and this output has no region",
            remedy="leave it out",
            option="--region",
        )


def _check_without_role(given: Mapping[str, Option]) -> None:
    for flag, option in given.items():
        if option.purpose == "role":
            raise UsageError(
                f"{flag} is for a role, and none is named", remedy="name it, or leave that out", option=flag
            )
    if "--session-token" in given:
        return
    if "--mfa-serial" in given:
        raise UsageError(
            "--mfa-serial is for a role, or for --session-token",
            remedy="name the role, or add that",
            option="--mfa-serial",
        )
    for flag, option in given.items():
        if option.purpose == "call":
            raise UsageError(
                f"{flag} is for a call of STS, and none is made without a role", remedy="leave it out", option=flag
            )
    if "--keys-file" not in given:
        return
    if "--cache" in given:
        raise UsageError("--cache would keep what --keys-file has", remedy="leave it out", option="--cache")
    if "--allow-http" in given:  # a profile may call servers by itself
        raise UsageError(
            "--allow-http has no effect: no server is called", remedy="leave it out", option="--allow-http"
        )


def check_only_one(args: Namespace, purpose: Purpose, *, needed: str = "") -> None:
    """Raise `UsageError` where several options with this *purpose* are given.

    *needed* says what one of them is for: with it, to give none is an error too.
    """
    options = [option for option in args.options if option.purpose == purpose]
    given = [option.flag for option in options if option.value_in(args) is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} do not go together", remedy="give one of them")
    if needed and not given:
        raise UsageError(f"{needed}: {', '.join(option.flag for option in options)}")


def uses_no_role(args: Namespace) -> bool:
    """Whether credentials are used as they are: they are named, or a session of the user is, and no role is."""
    is_named = args.profile is not None or args.keys_file is not None or args.session_token
    return is_named and not args.roles
