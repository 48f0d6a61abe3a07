"""The options of the command line, each declared once for argparse, checks, calls and errors."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final, Literal, TypeAlias, get_args

from attrs import field, frozen

from stskit._arguments import quoted
from stskit._cli.mistakes import nearest
from stskit.errors import SinkError, StskitError
from stskit.sinks import Shell

__all__ = [
    "CALL",
    "DESTINATION",
    "DOCTOR",
    "FILES",
    "JSON",
    "KEYS",
    "MFA",
    "PROOF",
    "ROLE",
    "SERVER",
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
"""The name of a class of stskit. A command imports only the classes that it uses."""
_SINKS: Final[tuple[_Sink, ...]] = get_args(_Sink)
_TIME: Final = r"(?=.)(?:(\d{1,3})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s?)?"
_REGION: Final = r"(?![0-9]+$)(?!-)[a-zA-Z0-9-]{,63}(?<!-)"  # a part of a host name, with botocore's rule


class UsageError(StskitError):
    """The arguments are incomplete or contradict each other. Nothing was done."""


def _not_valid(flag: str, problem: str, remedy: str) -> UsageError:
    return UsageError(f"invalid usage: {flag} {problem}", remedy=remedy, option=flag)


def _time(flag: str, text: str) -> timedelta:
    match = re.fullmatch(_TIME, text, re.ASCII)
    if match is None:
        raise _not_valid(flag, f"{quoted(text)} is not a valid time.", "Write it as 3600, 90s, 15m or 1h30m.")
    hours, minutes, seconds = (int(each or 0) for each in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _region(flag: str, text: str) -> str:
    if text and not re.fullmatch(_REGION, text):
        raise _not_valid(flag, f"{quoted(text)} is not a valid region.", "Write a name such as eu-central-1.")
    return text


def _url(flag: str, text: str) -> str:
    """Return *text* if it is a URL. Errors do not quote it, because it may contain a password."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # wrong brackets, or a port that is not a number up to 65535
        is_valid = False
    if text and not is_valid:
        raise _not_valid(flag, "is not a valid URL.", "Write https://HOST or https://HOST:PORT")
    return text


def _tag(flag: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise _not_valid(flag, f"{quoted(text)} is not a valid tag.", f"Write {flag} KEY=VALUE")
    return key, value


def _shell(flag: str, text: str) -> str:
    shells = get_args(Shell)
    if text in ("", *shells):
        return text
    if text.startswith("arn:"):
        raise _not_valid(flag, "is followed by a role.", f"Write the role before {flag}.")
    near = nearest(text.rpartition("/")[2], shells)
    remedy = f"Did you mean {near}?" if near else f"Use one of: {', '.join(shells)}."
    raise _not_valid(flag, f"{quoted(text)} is not a supported shell.", remedy)


@frozen
class Option:
    """An option of the command line.

    Args:
        flag: The option as it is typed.
        metavar: Placeholder of its value in the help. Empty if it has no value.
        help: Its help text.
        parsing: Further arguments for argparse's ``add_argument``. Its ``type`` is called with the flag and the text.
        purpose: ``"source"`` or ``"destination"`` for options of which only one can be used, ``"role"`` for options
            that have no effect without a role, ``"call"`` for options that have no effect if STS is not called.
        needs: Other options. Without one of them this option has no effect.
        excludes: Other options that cannot be used together with this one.
        reads_file: Whether its value is a file to read, where ``-`` is standard input.
        arguments: The Python arguments that it sets: the name of each class, and of its argument.
    """

    flag: str
    metavar: str
    help: str
    parsing: Mapping[str, Any] = field(factory=dict)
    purpose: Purpose | None = field(default=None, kw_only=True)
    needs: Sequence[str] = field(default=(), kw_only=True)
    excludes: Sequence[str] = field(default=(), kw_only=True)
    reads_file: bool = field(default=False, kw_only=True)
    arguments: Mapping[_Part, str] = field(factory=dict, kw_only=True)

    @property
    def name(self) -> str:
        """The name of its value in the namespace of argparse."""
        return self.flag.removeprefix("--").replace("-", "_")

    def value_in(self, args: Namespace) -> Any:
        """Return its value, or None if it was not typed. An empty text is a value."""
        value = getattr(args, self.name, None)
        return None if value is False or value == [] else value


_REGION_DEFAULT: Final = "(default: AWS_REGION, AWS_DEFAULT_REGION, or the profile)"
_SWITCH: Final[dict[str, Any]] = {"action": "store_true"}
_DURATION: Final[dict[str, Any]] = {"type": _time}
_PLACE: Final[dict[str, Any]] = {"type": _region}
_REPEATED: Final[dict[str, Any]] = {"action": "append", "default": []}
_SHELL: Final[dict[str, Any]] = {"nargs": "?", "const": "sh", "type": _shell}

KEYS: Final = (
    Option(
        "--profile",
        "NAME",
        "profile in ~/.aws/config or ~/.aws/credentials",
        purpose="source",
        arguments={"Profile": "name"},
    ),
    Option(
        "--keys-file",
        "FILE",
        "file with credentials in JSON, as aws sts prints them, or - for standard input",
        purpose="source",
        reads_file=True,
    ),
)
FILES: Final = (
    *KEYS,
    Option(
        "--saml-file",
        "FILE",
        "file with a SAML response: base64, XML, or the HAR file of a browser, or - for standard input",
        purpose="source",
        reads_file=True,
        arguments={"SAMLFile": "path"},
    ),
    Option(
        "--oidc-token-file",
        "FILE",
        "file with an OIDC token, or - for standard input",
        purpose="source",
        reads_file=True,
        arguments={"OIDCTokenFile": "path"},
    ),
    Option(
        "--json-field",
        "NAME",
        "name of the JSON field that contains the token, if the token file is JSON",
        needs=["--oidc-token-file"],
        arguments={"OIDCTokenFile": "json_field"},
    ),
)
PROOF: Final = (
    *FILES,
    Option(
        "--principal-arn",
        "ARN",
        "ARN of the SAML provider, if the assertion is encrypted",
        needs=["--saml-file"],
        arguments={"SAMLFile": "principal_arn"},
    ),
    Option(
        "--from-env",
        "",
        "use AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, as Kubernetes sets them",
        _SWITCH,
        purpose="source",
    ),
)
MFA: Final = (
    Option(
        "--mfa-serial",
        "SERIAL",
        "ARN or serial number of the MFA device, 9 to 256 characters. stskit asks for its code",
        arguments={"MFA": "serial", "Role": "mfa"},
    ),
    Option(
        "--mfa-command",
        "COMMAND",
        "command that prints the MFA code, for example 'ykman oath accounts code -s aws'",
        needs=["--mfa-serial"],
    ),
    Option(
        "--token-code",
        "CODE",
        "MFA code, 6 digits. It works once (default: stskit asks for it)",
        needs=["--mfa-serial"],
        excludes=["--mfa-command"],
        arguments={"MFA": "code"},
    ),
    Option(
        "--session-token",
        "",
        "call GetSessionToken first, with the MFA code if there is one, and use its credentials (valid for 12h)",
        _SWITCH,
    ),
)
ROLE: Final = (
    Option(
        "--session-name",
        "NAME",
        "session name, 2 to 64 characters. CloudTrail shows it (default: AWS_ROLE_SESSION_NAME, or user and host name)",
        purpose="role",
        arguments={"Role": "session_name"},
    ),
    Option(
        "--duration",
        "TIME",
        "how long the credentials are valid: 15m to 12h, up to the limit of the role, and up to 1h in a chain. A "
        "number without a unit is in seconds (default: 1h, or the duration that the SAML response requests)",
        _DURATION,
        purpose="role",
        arguments={"Role": "duration"},
    ),
    Option(
        "--policy-file",
        "FILE",
        "file with a session policy in JSON, which can only reduce permissions, or - for standard input",
        purpose="role",
        reads_file=True,
        arguments={"Role": "policy"},
    ),
    Option(
        "--policy-arn",
        "ARN",
        "ARN of a managed policy that is used as a session policy (repeatable, up to 10)",
        _REPEATED,
        purpose="role",
        arguments={"Role": "policy_arns"},
    ),
    Option(
        "--tag",
        "KEY=VALUE",
        "session tag: key up to 128 characters, value up to 256 (repeatable, up to 50)",
        {**_REPEATED, "type": _tag},
        purpose="role",
        arguments={"Role": "tags"},
    ),
    Option(
        "--transitive-tag",
        "KEY",
        "key of a tag that is passed on to chained roles (repeatable, up to 50)",
        _REPEATED,
        purpose="role",
        arguments={"Role": "transitive_tag_keys"},
    ),
    Option(
        "--external-id",
        "ID",
        "external ID that the trust policy requires, 2 to 1,224 characters. Other users of this machine can see it in "
        "the process list, so prefer --external-id-file",
        purpose="role",
        excludes=["--external-id-file"],
        arguments={"Role": "external_id"},
    ),
    Option(
        "--external-id-file",
        "FILE",
        "file with the external ID, or - for standard input",
        purpose="role",
        reads_file=True,
        arguments={"Role": "external_id"},
    ),
    Option(
        "--source-identity",
        "NAME",
        "name of the person or program that uses the session, 2 to 256 characters. It stays the same in chained roles",
        purpose="role",
        arguments={"Role": "source_identity"},
    ),
)
ENDPOINT: Final = (
    Option(
        "--endpoint-url",
        "URL",
        "URL of an STS that is not AWS, for example https://sts.example:8443 (default: AWS_ENDPOINT_URL_STS, "
        "AWS_ENDPOINT_URL, or AWS)",
        {"type": _url},
        purpose="call",
        arguments={"BotocoreSTS": "endpoint_url"},
    ),
    Option(
        "--use-fips",
        "",
        "use the FIPS endpoint of AWS",
        _SWITCH,
        purpose="call",
        excludes=["--endpoint-url"],
        arguments={"BotocoreSTS": "use_fips"},
    ),
    Option(
        "--allow-http",
        "",
        "allow requests without encryption (http) to another machine",
        _SWITCH,
        arguments={"BotocoreSTS": "allow_http", "Profile": "allow_http"},
    ),
)
SERVER: Final = (
    Option(
        "--region",
        "REGION",
        f"region of STS {_REGION_DEFAULT}",
        _PLACE,
        purpose="call",
        arguments={"BotocoreSTS": "region"},
    ),
    *ENDPOINT,
)
CALL: Final = (
    Option(
        "--region",
        "REGION",
        f"region of STS, and of the profile, shell, file or command that gets the credentials {_REGION_DEFAULT}",
        _PLACE,
        arguments=dict.fromkeys(("BotocoreSTS", *_SINKS), "region"),
    ),
    Option(
        "--sts-region",
        "REGION",
        "region of STS, if it is another one (default: that of --region)",
        _PLACE,
        purpose="call",
        arguments={"BotocoreSTS": "region"},
    ),
    *ENDPOINT,
    Option(
        "--wait-for-new-role",
        "TIME",
        "how long to retry if STS denies access to a role that was created just now, up to 1m (default: no retries)",
        _DURATION,
        purpose="role",
        arguments={"AssumedRole": "wait_for_new_role"},
    ),
    Option("--cache", "", "store the credentials in ~/.cache/stskit, and use them again until they expire", _SWITCH),
    Option(
        "--cache-key",
        "NAME",
        "a name for the user of the credentials, so that the cache can separate users. --cache needs it for a "
        "credential_process, a container or an instance, because stskit cannot see the user there",
        needs=["--cache"],
        arguments={"Cached": "key"},
    ),
)
DESTINATION: Final = (
    Option(
        "--to-profile",
        "NAME",
        "write a profile to ~/.aws/credentials. The rest of the file stays unchanged",
        purpose="destination",
        arguments={"CredentialsFile": "profile"},
    ),
    Option(
        "--to-shell",
        "SHELL",
        f"print commands for eval in this shell: {', '.join(get_args(Shell))} (default: sh)",
        _SHELL,
        purpose="destination",
        arguments={"ShellExports": "shell"},
    ),
    Option(
        "--to-dotenv", "FILE", "write variables to a .env file", purpose="destination", arguments={"DotEnv": "path"}
    ),
    Option("--to-process", "", "print the document of a credential_process", _SWITCH, purpose="destination"),
    Option(
        "--set-output",
        "FORMAT",
        "output format that the AWS CLI uses with the profile, for example json (default: unchanged)",
        needs=["--to-profile"],
        arguments={"CredentialsFile": "output"},
    ),
    Option(
        "--credentials-file",
        "FILE",
        "credentials file (default: ~/.aws/credentials)",
        needs=["--to-profile"],
        arguments={"CredentialsFile": "path"},
    ),
    Option(
        "--config-file",
        "FILE",
        "config file (default: ~/.aws/config)",
        needs=["--to-profile"],
        arguments={"CredentialsFile": "config_path"},
    ),
    Option(
        "--overwrite",
        "",
        "replace the profile, even if it has long-term keys or other settings for credentials",
        _SWITCH,
        needs=["--to-profile"],
        arguments={"CredentialsFile": "overwrite"},
    ),
    Option(
        "--backup",
        "",
        "keep the old content of the file in FILE.bak",
        _SWITCH,
        needs=["--to-profile", "--to-dotenv"],
        arguments={"CredentialsFile": "backup", "DotEnv": "backup"},
    ),
)
DOCTOR: Final = (
    *SERVER,
    Option("--offline", "", "do not connect to STS", _SWITCH),
    Option(
        "--run",
        "",
        "fetch the credentials of the profile, even if this starts a program or calls AWS",
        _SWITCH,
        excludes=["--offline", "--saml-file", "--oidc-token-file", "--keys-file"],
    ),
)
JSON: Final = (
    Option("--json", "", "write results (to standard output) and errors (to standard error) as JSON", _SWITCH),
)


def add_group(parser: ArgumentParser, title: str, options: Sequence[Option]) -> None:
    """Add a group of options to a parser."""
    group = parser.add_argument_group(title)
    for option in options:
        details: dict[str, Any] = {"help": option.help, **option.parsing}
        if option.metavar:
            details["metavar"] = option.metavar
        if "type" in details:
            details["type"] = partial(details["type"], option.flag)
        group.add_argument(option.flag, **details)


def arguments_for(target: type, args: Namespace) -> dict[str, Any]:
    """Return the arguments for a call of *target* from the options that were typed."""
    return {
        argument: value
        for option in args.options
        for part, argument in option.arguments.items()
        if part == target.__name__ and (value := option.value_in(args)) is not None
    }


def is_among(flag: str, words: Sequence[str]) -> bool:
    """Return whether an option is among the arguments of the command line."""
    return any(word == flag or word.startswith(f"{flag}=") for word in words)


def flag_for(error: StskitError, words: Sequence[str]) -> str | None:
    """Return the option that sets the Python argument of an error, or None if there is none or several.

    STS and sinks have an argument ``region``, so the class of the error decides between them. If several options set an
    argument, the last one in *words*, the arguments of the command line, is returned.
    """
    of_sink = isinstance(error, SinkError)
    options = [
        option
        for option in (*PROOF, *MFA, *ROLE, *CALL, *DESTINATION)
        if any(
            argument == error.option and (target in _SINKS) == of_sink for target, argument in option.arguments.items()
        )
    ]
    chosen = [option for option in options if is_among(option.flag, words)][-1:] or options
    return chosen[0].flag if len(chosen) == 1 else None


def check(args: Namespace) -> None:
    """Raise `UsageError` if an option would have no effect, or if two options contradict each other."""
    typed = {option.flag: option for option in args.options if option.value_in(args) is not None}
    for flag, option in typed.items():
        if option.value_in(args) == "":  # often an unset variable of a shell
            raise UsageError(f"{flag} is empty.", remedy="Pass a value, or omit the option.", option=flag)
    check_only_one(args, "source")
    for flag, option in typed.items():
        if excluded := [each for each in option.excludes if each in typed]:
            raise UsageError(
                f"{flag} and {excluded[0]} cannot be used together.", remedy="Use only one of them.", option=flag
            )
        if option.needs and not typed.keys() & {*option.needs}:
            needed = " or ".join(option.needs)
            raise UsageError(
                f"{flag} has no effect without {needed}.", remedy=f"Omit it, or add {needed}.", option=flag
            )
    _check_standard_input(args, typed)
    if "--session-token" in typed and typed.keys() & {"--saml-file", "--oidc-token-file", "--from-env"}:
        raise UsageError(
            "--session-token needs the long-term keys of a user, from --profile or --keys-file.",
            remedy="Omit it.",
            option="--session-token",
        )
    if "--allow-http" in typed and str(getattr(args, "endpoint_url", "")).startswith("https:"):
        raise UsageError("--allow-http has no effect on an https endpoint.", remedy="Omit it.", option="--allow-http")
    if hasattr(args, "roles"):
        _check_region(args, typed)
        if uses_no_role(args):
            _check_without_role(typed)
    if "--from-env" in typed and args.roles:
        raise UsageError(
            "--from-env uses the role of AWS_ROLE_ARN, but another role was passed.",
            remedy="Omit the role, or omit --from-env.",
            option="--from-env",
        )


def _check_standard_input(args: Namespace, typed: Mapping[str, Option]) -> None:
    readers = [flag for flag, option in typed.items() if option.reads_file and option.value_in(args) == "-"]
    if len(readers) > 1:
        raise UsageError(
            f"{' and '.join(readers)} cannot both read standard input.",
            remedy="Pass a file for one of them.",
            option=readers[0],
        )


def _check_region(args: Namespace, typed: Mapping[str, Option]) -> None:
    """Raise `UsageError` if ``--region`` has no effect, because it is neither that of STS nor of a destination."""
    is_of_destination = args.command == "exec" or bool(typed.keys() & {"--to-profile", "--to-shell", "--to-dotenv"})
    if "--region" not in typed or is_of_destination:
        return
    if "--sts-region" in typed:
        raise UsageError(
            "--region has no effect together with --sts-region: this output has no region.",
            remedy="Omit one of them.",
            option="--region",
        )
    if uses_no_role(args) and not args.session_token:
        raise UsageError(
            "--region has no effect: STS is not called without a role, and this output has no region.",
            remedy="Omit it.",
            option="--region",
        )


def _check_without_role(typed: Mapping[str, Option]) -> None:
    for flag, option in typed.items():
        if option.purpose == "role":
            raise UsageError(
                f"{flag} has no effect without a role.", remedy="Pass a role ARN, or omit the option.", option=flag
            )
    if "--session-token" in typed:
        return
    if "--mfa-serial" in typed:
        raise UsageError(
            "--mfa-serial has no effect without a role or --session-token.",
            remedy="Pass a role ARN, or add --session-token.",
            option="--mfa-serial",
        )
    for flag, option in typed.items():
        if option.purpose == "call":
            raise UsageError(f"{flag} has no effect: STS is not called without a role.", remedy="Omit it.", option=flag)
    if "--keys-file" not in typed:
        return
    if "--cache" in typed:
        raise UsageError("--cache has no effect on the keys of --keys-file.", remedy="Omit it.", option="--cache")
    if "--allow-http" in typed:  # a profile may call servers by itself
        raise UsageError("--allow-http has no effect: no server is called.", remedy="Omit it.", option="--allow-http")


def check_only_one(args: Namespace, purpose: Purpose, *, if_none: str = "") -> None:
    """Raise `UsageError` if several options with this purpose were typed.

    With *if_none*, the message for that case, it is an error to type none of them.
    """
    options = [option for option in args.options if option.purpose == purpose]
    typed = [option.flag for option in options if option.value_in(args) is not None]
    if len(typed) > 1:
        raise UsageError(f"{' and '.join(typed)} cannot be used together.", remedy="Use only one of them.")
    if if_none and not typed:
        names = [f"{option.flag} {option.metavar}" if option.parsing == {} else option.flag for option in options]
        raise UsageError(if_none, remedy=f"Add {', '.join(names[:-1])} or {names[-1]}.")


def uses_no_role(args: Namespace) -> bool:
    """Return whether credentials are used as they are: their source is named, and no role."""
    is_named = args.profile is not None or args.keys_file is not None or args.session_token
    return is_named and not args.roles
