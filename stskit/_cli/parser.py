"""The parser of the command line: commands, options, help texts and usage errors."""

from __future__ import annotations

import os
from argparse import Action, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Final, NoReturn

from attrs import frozen

from stskit._arguments import quoted, secret_kind
from stskit._cli import console, options
from stskit._cli.options import Option, UsageError, add_group
from stskit._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["before_double_dash", "parse", "parser"]

# Options of other tools, mainly the AWS CLI: the option of stskit if there is one, and the remedy.
_ELSEWHERE: Final = {
    "--role-session-name": ("--session-name", "Use --session-name NAME"),
    "--duration-seconds": ("--duration", "Use --duration TIME"),
    "--serial-number": ("--mfa-serial", "Use --mfa-serial SERIAL"),
    "--mfa-code": ("--token-code", "Use --token-code CODE, or omit it: stskit asks for the code."),
    "--mfa-token": ("--token-code", "Use --token-code CODE, or omit it: stskit asks for the code."),
    "--policy": ("--policy-file", "Use --policy-file FILE"),
    "--policy-arns": ("--policy-arn", "Use --policy-arn ARN, once for each policy."),
    "--tags": ("--tag", "Use --tag KEY=VALUE, once for each tag."),
    "--transitive-tag-keys": ("--transitive-tag", "Use --transitive-tag KEY, once for each key."),
    "--web-identity-token": ("--oidc-token-file", "Save the token, and use --oidc-token-file FILE"),
    "--saml-assertion": ("--saml-file", "Save the response, and use --saml-file FILE"),
    "--output": ("", "Use --json for JSON. --set-output FORMAT sets the output format of a profile."),
    "--query": ("", "Use --json and a program such as jq."),
    "--ca-bundle": ("", "Set AWS_CA_BUNDLE, or ca_bundle in the profile."),
    "--no-verify-ssl": ("", "TLS is always verified. For your own CA, set AWS_CA_BUNDLE to its certificate file."),
    "--no-sign-request": ("", "Omit it: SAML and OIDC calls are not signed, and all other calls must be."),
    "--color": ("", "Set NO_COLOR=1 for output without colours."),
}
_ANY_TEXT: Final = frozenset(
    {
        *(option.flag for option in (*options.PROOF, *options.ROLE) if option.reads_file),
        *("--mfa-command", "--external-id", "--tag", "--transitive-tag"),
        *_ELSEWHERE,  # the remedy does not quote the value
    }
)
_ROLE_ARN: Final = ("--role", "--role-arn", "--role-name")
_PROMPTS: Final = frozenset({"$", "%", "#", ">", ">>>"})
_AMBIENT: Final = "(default: the standard AWS credential chain)"
_ASSUMING: Final = (
    (f"Proof {_AMBIENT}", options.PROOF),
    ("MFA (for the first call)", options.MFA),
    ("Session options (for the last role)", options.ROLE),
    ("Call of STS", options.CALL),
)
_RECIPES: Final = """\
examples, instead of aws sts assume-role-with-saml, assume-role-with-web-identity,
assume-role, and get-session-token with an MFA code:
  stskit assume --saml-file samlresponse.har --to-profile deploy
  stskit assume ROLE --oidc-token-file token --to-profile deploy
  stskit assume ROLE --profile base --to-profile deploy
  stskit assume --profile base --session-token --mfa-serial ARN --to-profile me
"""
_SHELLS: Final = """
examples for a shell:
  eval "$(stskit assume ROLE --to-shell)"
  stskit assume ROLE --to-shell fish | source
"""
_EXEC: Final = """\
Write the command after two dashes. The exit status is that of the command
(126 and 127: it could not be started):
  stskit exec ROLE --profile base -- aws s3 ls
  stskit exec --profile sso -- terraform plan
"""
_PROCESS: Final = """\
Write this to ~/.aws/config, for AWS SDKs, the AWS CLI and Terraform:
  [profile deploy]
  credential_process = stskit process ROLE --profile base --cache
"""
_STATUS: Final = """
exit status:
  0  success                   4  a person must sign in, or enter an MFA code
  1  doctor found a problem    5  STS refused the request
  2  invalid usage             6  STS could not be reached
  3  no valid proof            7  the credentials could not be delivered
"""


@frozen
class _Command:
    name: str
    usage: str
    about: str
    groups: Sequence[tuple[str, tuple[Option, ...]]]
    more: str = ""

    @property
    def takes_roles(self) -> bool:
        """Whether its arguments are roles."""
        return "[ROLE ...]" in self.usage

    @property
    def options(self) -> list[Option]:
        """The options of all groups."""
        return [option for _, group in self.groups for option in group]


_COMMANDS: Final = (
    _Command("roles", "FILE [--json]", "show which roles a SAML response offers", ()),
    _Command(
        "assume",
        "[ROLE ...] [PROOF] [OPTIONS] WHERE",
        "assume a role, and deliver its credentials",
        (_ASSUMING[0], ("Destination (one of the first four)", options.WHERE), *_ASSUMING[1:]),
        _RECIPES + _SHELLS,
    ),
    _Command(
        "exec",
        "[ROLE ...] [PROOF] [OPTIONS] -- COMMAND [ARGUMENT ...]",
        "assume a role, and run a command with its credentials",
        _ASSUMING,
        _EXEC,
    ),
    _Command(
        "process",
        "[ROLE ...] [PROOF] [OPTIONS]",
        "assume a role, and print the document of a credential_process",
        _ASSUMING,
        _PROCESS,
    ),
    _Command(
        "whoami",
        "[--profile NAME | --keys-file FILE] [OPTIONS]",
        "show the identity of credentials",
        ((f"Credentials {_AMBIENT}", options.KEYS), ("Call of STS", options.SERVER)),
    ),
    _Command(
        "doctor",
        "[PROOF] [OPTIONS]",
        "find problems in files, variables and the connection to STS",
        ((f"Proof to examine {_AMBIENT}", options.FILES), ("Call of STS", options.DOCTOR)),
    ),
)


def parse(argv: Sequence[str]) -> Namespace:
    """Parse the arguments. Print help or version and exit, if they ask for it. Raise `UsageError`.

    The namespace also has ``options`` (the declarations of the command's options), ``argv``, and ``program`` (the
    command that ``exec`` runs).
    """
    words = before_double_dash(argv)
    if words and os.path.isfile(words[0]):
        raise UsageError(
            f"{words[0]} is a file, not a command.", remedy=f"To show its roles, run: stskit roles {words[0]}"
        )
    _check_for_secrets(words)
    _check_command(words)
    chosen = [command for command in _COMMANDS if command.name in words[:1]]  # building only this parser is faster
    args, unknown = parser(chosen or _COMMANDS).parse_known_args(words)
    command = next(each for each in _COMMANDS if each.name == args.command)
    if unknown:
        raise _unknown(command, unknown)
    args.options, args.argv, args.program = command.options, list(argv), list(argv[len(words) + 1 :])
    return args


def _check_command(words: Sequence[str]) -> None:
    """Raise `UsageError` for a wrong command, or for the sign of a prompt that was copied with a command."""
    from difflib import get_close_matches

    known = [command.name for command in _COMMANDS]
    if not words:
        raise UsageError(
            f"invalid usage: there is no command. The commands are {', '.join(known)}.", remedy="See: stskit --help"
        )
    if words[:1] == ["stskit"] or {*words} & _PROMPTS:
        rest = " ".join(word for word in words if word not in _PROMPTS).removeprefix("stskit ")
        raise UsageError("invalid usage: a prompt was copied with the command.", remedy=f"Run: stskit {rest}")
    if words and not words[0].startswith("-") and words[0] not in known:
        near = get_close_matches(words[0], known, 1)
        remedy = f"Did you mean {near[0]}?" if near else f"The commands are {', '.join(known)}."
        raise UsageError(f"invalid usage: {quoted(words[0])} is not a command.", remedy=remedy)


def _check_for_secrets(words: Sequence[str]) -> None:
    """Raise `UsageError` if a value is a proof or a key, because errors would quote it.

    Paths are checked when the file is read, and some values can be any text.
    """
    flag = ""
    for word in words:
        is_flag = word.startswith("--") and not word.startswith("---")  # a PEM key begins with more dashes
        flag, _, value = word.partition("=") if is_flag else (flag, "", word)
        kind = None if flag in _ANY_TEXT else secret_kind(value)
        if kind:
            raise UsageError(
                f"{flag or 'An argument'} cannot be {kind} ({len(value):,} characters).",
                remedy="Save it in a file, and pass the file: --oidc-token-file, --saml-file or --keys-file.",
            )
        flag = flag if is_flag and "=" not in word else ""


def _unknown(command: _Command, words: Sequence[str]) -> UsageError:
    """Return the error for arguments that the command does not have."""
    from difflib import get_close_matches

    see_help = f"See: stskit {command.name} --help"
    flag = next((word.split("=")[0] for word in words if word.startswith("-")), None)
    if flag in _ROLE_ARN and command.takes_roles:
        remedy = f"Write the role without an option: stskit {command.name} ROLE ..."
        return UsageError(f"There is no option {flag}.", remedy=remedy, option=flag)
    if flag:
        known = [option.flag for option in command.options]
        here, remedy = _ELSEWHERE.get(flag, ("", ""))
        if not remedy or here not in ("", *known):
            near = get_close_matches(flag, known, 1)
            remedy = f"Did you mean {near[0]}?" if near else see_help
            if command.name == "exec" and not near:
                remedy = "Write the command to run, with its options, after two dashes: stskit exec ROLE -- COMMAND"
        return UsageError(f"There is no option {flag}.", remedy=remedy, option=flag)
    text = " ".join(words)
    if command.name == "exec":
        return UsageError(f"{text!r} is not an option.", remedy=f"Write the command after two dashes: -- {text}")
    remedy = f"Did you mean --profile {text}?" if command.name in ("whoami", "doctor") else see_help
    return UsageError(f"stskit {command.name} has no argument {text!r}.", remedy=remedy)


def before_double_dash(argv: Sequence[str]) -> Sequence[str]:
    """Return the arguments for stskit, without the command that ``exec`` runs."""
    return argv[: argv.index("--")] if "--" in argv and argv[0] == "exec" else argv


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`, so that the message is shown as every other error."""
        raise UsageError(f"invalid usage: {message}\n{self.format_usage().rstrip()}")


def parser(known: Sequence[_Command] = _COMMANDS) -> ArgumentParser:
    """Return the parser of ``stskit`` with these commands."""
    top = _Parser(
        "stskit",
        usage=f"stskit [-h] [--version] {{{','.join(command.name for command in _COMMANDS)}}} ...",
        description="Get temporary AWS credentials, and deliver them to profiles, shells and commands.",
        epilog=_RECIPES + _STATUS,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="Commands", required=True, prog="stskit")
    for command in known:
        made = commands.add_parser(
            command.name,
            usage=f"stskit {command.name} {command.usage}",
            help=command.about,
            description=f"{command.about[0].upper()}{command.about[1:]}.",
            epilog=command.more,
            formatter_class=RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        _fill(made, command)
    return top


def _fill(made: ArgumentParser, command: _Command) -> None:
    if command.name == "roles":
        made.add_argument("saml_file", metavar="FILE", help="file with a SAML response, or the HAR file of a browser")
    elif command.takes_roles:
        made.add_argument(
            "roles",
            nargs="*",
            metavar="ROLE",
            help="role ARN. Several roles are a chain, from left to right. With --saml-file, the role name is enough, "
            "or nothing if the response offers only one role. Without a role, the credentials of --profile, "
            "--keys-file or --session-token are used as they are",
        )
    for title, group in command.groups:
        add_group(made, title, group)
    add_group(made, "Output", options.JSON)


class _Version(Action):
    """Print the version and exit."""

    def __call__(self, parser: ArgumentParser, *_arguments: object) -> None:
        parser.exit(console.output(f"stskit {__version__}"))
