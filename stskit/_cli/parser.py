"""The parser of the command line: commands, options, help texts and usage errors."""

from __future__ import annotations

import os
from argparse import Action, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Final, NoReturn

from attrs import frozen

from stskit._arguments import quoted, secret_kind
from stskit._cli import console, options
from stskit._cli.mistakes import copied_text_problem, nearest, nearest_flag
from stskit._cli.options import Option, UsageError, add_group
from stskit._version import __version__

if TYPE_CHECKING:
    from argparse import _ArgumentGroup
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
    "--verbose": ("", "Omit it. To find a problem, run: stskit doctor"),
    "--debug": ("", "Omit it. To find a problem, run: stskit doctor"),
}
_ANY_TEXT: Final = frozenset(
    {
        *(option.flag for option in (*options.PROOF, *options.ROLE) if option.reads_file),
        *("--mfa-command", "--external-id", "--tag", "--transitive-tag"),
        *_ELSEWHERE,  # the remedy does not quote the value
    }
)
_ROLE_ARN: Final = ("--role", "--role-arn", "--role-name")
_WITHOUT_ROLE: Final = {
    "whoami": "This command does not use a role. To show the session of a role, run stskit whoami with stskit exec.",
    "doctor": "This command does not use a role. Omit the role.",
}
_PROMPTS: Final = frozenset({"$", "%", "#", ">", ">>>"})
_HELP: Final = ("-h", "--help", "--version")
# Words that are typed as a command, because another tool has that command.
_OTHER_COMMANDS: Final = {
    "help": "Run: stskit --help",
    "version": "Run: stskit --version",
    "get-caller-identity": "Did you mean whoami?",
    "get-session-token": "Use: stskit assume --profile NAME --session-token --to-profile NAME",
}
_AMBIENT: Final = "(default: the standard AWS credential chain)"
_ASSUMING: Final = (
    (f"Proof {_AMBIENT}", options.PROOF),
    ("MFA (for the first call)", options.MFA),
    ("Session options (for the last role)", options.ROLE),
    ("Calls to STS", options.CALL),
)
_RECIPES: Final = """\
Examples:
  A SAML response, instead of aws sts assume-role-with-saml:
    stskit assume --saml-file samlresponse.har --to-profile deploy
  An OIDC token, instead of aws sts assume-role-with-web-identity:
    stskit assume ROLE --oidc-token-file token --to-profile deploy
  AWS credentials, instead of aws sts assume-role:
    stskit assume ROLE --profile base --to-profile deploy
  An MFA code, instead of aws sts get-session-token:
    stskit assume --profile base --session-token --mfa-serial ARN --to-profile me
"""
_SHELLS: Final = """\
  Credentials for the current shell:
    eval "$(stskit assume ROLE --to-shell)"
    stskit assume ROLE --to-shell fish | source
"""
_EXEC: Final = """\
Examples:
  stskit exec ROLE --profile base -- aws s3 ls
  stskit exec --profile sso -- terraform plan

Write the command after two dashes. The exit status is that of the command. It is
127 if the command does not exist, and 126 if it could not be started.
"""
_PROCESS: Final = """\
Example for ~/.aws/config, which AWS SDKs, the AWS CLI and Terraform read:
  [profile deploy]
  credential_process = stskit process ROLE --profile base --cache
"""
_STATUS: Final = """
Exit status:
  0  success                   4  a person must sign in, or enter an MFA code
  1  doctor found a problem    5  STS refused the request
  2  invalid usage             6  STS could not be reached
  3  no valid proof            7  the credentials could not be delivered
"""


@frozen
class _Command:
    """A command of ``stskit``: its usage, its help texts, and its groups of options by title."""

    name: str
    usage: str
    about: str
    groups: Sequence[tuple[str, tuple[Option, ...]]]
    more: str = ""

    @property
    def has_roles(self) -> bool:
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
        "[ROLE ...] [PROOF] [OPTIONS] DESTINATION",
        "assume a role, and deliver its credentials",
        (_ASSUMING[0], ("Destination (choose one of the four --to options)", options.DESTINATION), *_ASSUMING[1:]),
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
        ((f"Credentials {_AMBIENT}", options.KEYS), ("Calls to STS", options.SERVER)),
    ),
    _Command(
        "doctor",
        "[PROOF] [OPTIONS]",
        "find problems in files, variables and the connection to STS",
        ((f"Proof to examine {_AMBIENT}", options.FILES), ("Calls to STS", options.DOCTOR)),
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
            f"invalid usage: {words[0]} is a file, not a command.",
            remedy=f"To show its roles, run: stskit roles {words[0]}",
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
    """Raise `UsageError` if the command is missing or wrong, or if a prompt was copied with it.

    The errors do not quote the other arguments, because they can be secret.
    """
    known = [command.name for command in _COMMANDS]
    listed = f"The commands are {', '.join(known)}."
    first = words[0] if words else ""
    chosen = next((word for word in words if word in known), "COMMAND")
    if sign := next((word for word in words if word in _PROMPTS), None):
        remedy = "Remove it and the comment." if sign == "#" and first in known else f"Remove it: stskit {chosen} ..."
        raise UsageError(
            f"invalid usage: {sign!r} is not an argument. It is a prompt that was copied with the command.",
            remedy=remedy,
        )
    if not first:
        raise UsageError("invalid usage: the command is missing.", remedy=f"{listed} See: stskit --help")
    if first == "stskit":
        raise UsageError("invalid usage: stskit was typed twice.", remedy=f"Remove one of them: stskit {chosen} ...")
    if first in known:
        if words[1:] == ["help"] and first != "roles":  # a file can have this name
            raise UsageError(f"invalid usage: stskit {first} has no argument 'help'.", remedy=f"Run: stskit {first} -h")
        return
    if first.startswith("-"):
        _check_first_flag(first, words, chosen, listed)
    elif problem := copied_text_problem(first):
        raise UsageError(f"invalid usage: {problem[0]}", remedy=problem[1])
    elif first.startswith("arn:"):
        raise UsageError(
            "invalid usage: the command is missing before the role.", remedy="Use: stskit assume ROLE --to-profile NAME"
        )
    else:
        near = "assume" if first.startswith("assume") else nearest(first, known)
        remedy = _OTHER_COMMANDS.get(first) or (f"Did you mean {near}?" if near else listed)
        if first == "help" and chosen in known:
            remedy = f"Run: stskit {chosen} --help"
        raise UsageError(f"invalid usage: {quoted(first)} is not a command.", remedy=remedy)


def _check_first_flag(first: str, words: Sequence[str], chosen: str, listed: str) -> None:
    """Raise `UsageError` if an option of a command is before the command, or if the first option does not exist."""
    flag = first.partition("=")[0]
    if flag in _HELP:
        return
    if flag in ("-v", "-V", "-version"):
        raise UsageError(f"There is no option {flag}.", remedy="Did you mean --version?", option=flag)
    if len(words) == 1 and (near := nearest_flag(flag, _HELP[1:])):
        raise UsageError(f"There is no option {flag}.", remedy=f"Did you mean {near}?", option=flag)
    command = next((each for each in _COMMANDS if each.name == chosen), None)
    if command and flag not in ("--json", *(option.flag for option in command.options)):
        raise _unknown(command, [flag])
    remedy = f"Write the command first: stskit {chosen} {flag} ..."
    if command is None:
        remedy = f"{remedy} {listed}"
    raise UsageError(f"invalid usage: {flag} is before the command.", remedy=remedy, option=flag)


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
    flag = next((word.split("=")[0] for word in words if word.startswith("-")), None)
    if flag == "--" and command.has_roles:
        remedy = "To run a command with the credentials, use: stskit exec ROLE -- COMMAND"
        return UsageError(f"stskit {command.name} does not run a command.", remedy=remedy)
    if flag:
        others = [f"stskit {each.name}" for each in _COMMANDS if any(option.flag == flag for option in each.options)]
        if others and (command.name, flag) != ("roles", "--saml-file"):
            verb = "has" if len(others) == 1 else "have"
            remedy = f"Omit it. Only {' and '.join(others)} {verb} this option."
            return UsageError(f"stskit {command.name} has no option {flag}.", remedy=remedy, option=flag)
        return UsageError(f"There is no option {flag}.", remedy=_remedy_for_flag(command, flag), option=flag)
    problem = next((problem for word in words if (problem := copied_text_problem(word))), None)
    if problem:
        return UsageError(f"invalid usage: {problem[0]}", remedy=problem[1])
    text = " ".join(words)
    remedy = f"See: stskit {command.name} --help"
    if command.name == "exec":
        remedy = f"Write the command after two dashes: -- {text}"
    elif command.name in ("whoami", "doctor"):
        is_role = words[0].startswith("arn:")
        remedy = _WITHOUT_ROLE[command.name] if is_role else f"Did you mean --profile {text}?"
    return UsageError(f"stskit {command.name} has no argument {text!r}.", remedy=remedy)


def _remedy_for_flag(command: _Command, flag: str) -> str:
    """Return what to type in place of an option that the command does not have."""
    known = [option.flag for option in command.options]
    if flag in _ROLE_ARN:
        if command.has_roles:
            return f"Write the role without an option: stskit {command.name} ROLE ..."
        if command.name in _WITHOUT_ROLE:
            return _WITHOUT_ROLE[command.name]
    if command.name == "roles" and flag == "--saml-file":
        return "Write the file without an option: stskit roles FILE"
    here, remedy = _ELSEWHERE.get(flag, ("", ""))
    if remedy and here in ("", *known):
        return remedy
    near = nearest_flag(flag, [*known, "--json", "--help"])
    if near:
        return f"Did you mean {near}?"
    if command.name == "exec":  # it may be an option of the command to run
        return "Write the command to run, with its options, after two dashes: stskit exec ROLE -- COMMAND"
    return f"See: stskit {command.name} --help"


def before_double_dash(argv: Sequence[str]) -> Sequence[str]:
    """Return the arguments for stskit, without the command that ``exec`` runs."""
    return argv[: argv.index("--")] if "--" in argv and argv[0] == "exec" else argv


class _HelpFormatter(RawDescriptionHelpFormatter):
    def _split_lines(self, text: str, width: int) -> list[str]:
        """Return *text* in lines. Options are not split at their hyphens, so that they can be copied."""
        from textwrap import wrap

        return wrap(text, width, break_on_hyphens=False)


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`, so that the message is shown as every other error."""
        flag, _, problem = message.removeprefix("argument ").partition(": ")
        text, remedy = message, f"See: {self.prog} --help"
        if flag == "the following arguments are required":
            text, remedy = f"{problem} is missing", f"Run: {self.format_usage().removeprefix('usage: ').strip()}"
        elif problem.startswith("expected one"):
            name = self._option_string_actions[flag].metavar
            text, remedy = f"{flag} has no value", f"Write {flag} {name}, or {flag}={name} if it begins with a hyphen."
        elif problem.startswith("ignored explicit"):  # the value is not quoted, because it can be a secret
            text, remedy = f"{flag} does not allow a value", "Write the option alone."
        raise UsageError(f"invalid usage: {text}.", remedy=remedy, option=flag if flag.startswith("-") else None)


def parser(known: Sequence[_Command] = _COMMANDS) -> ArgumentParser:
    """Return the parser of ``stskit`` with these commands."""
    top = _Parser(
        "stskit",
        usage=f"stskit [-h] [--version] {{{','.join(command.name for command in _COMMANDS)}}} ...",
        description="Get temporary AWS credentials, and deliver them to profiles, shells and commands.",
        epilog=_RECIPES + _STATUS,
        formatter_class=_HelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    general = _add_help(top)
    general.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="Commands", required=True, prog="stskit")
    for command in known:
        subparser = commands.add_parser(
            command.name,
            usage=f"stskit {command.name} {command.usage}",
            help=command.about,
            description=f"{command.about[0].upper()}{command.about[1:]}.",
            epilog=command.more,
            formatter_class=_HelpFormatter,
            add_help=False,
            allow_abbrev=False,
        )
        _add_arguments(subparser, command)
    return top


def _add_arguments(subparser: ArgumentParser, command: _Command) -> None:
    if command.name == "roles":
        subparser.add_argument_group("Arguments").add_argument(
            "saml_file",
            metavar="FILE",
            help="file with a SAML response: base64, XML, or the HAR file of a browser, or - for standard input",
        )
    elif command.has_roles:
        subparser.add_argument_group("Arguments").add_argument(
            "roles",
            nargs="*",
            metavar="ROLE",
            help="role ARN. Several roles are a chain, from left to right. With --saml-file, the role name is enough, "
            "or nothing if the response offers only one role. Without a role, the credentials of --profile, "
            "--keys-file or --session-token are used as they are",
        )
    for title, group in command.groups:
        add_group(subparser, title, group)
    add_group(subparser, "Output", options.JSON)
    _add_help(subparser)


def _add_help(command_parser: ArgumentParser) -> _ArgumentGroup:
    """Add the group of options that all parsers have. It has a title in the style of the other groups."""
    group = command_parser.add_argument_group("General")
    group.add_argument("-h", "--help", action="help", help="show this help and exit")
    return group


class _Version(Action):
    """Print the version and exit."""

    def __call__(self, parser: ArgumentParser, *_arguments: object) -> None:
        parser.exit(console.output(f"stskit {__version__}"))
