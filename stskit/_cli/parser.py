"""The commands of ``stskit`` and what they take, for argparse."""

from __future__ import annotations

import os
from argparse import Action, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Final, NoReturn

from attrs import frozen

from stskit._arguments import secret_kind
from stskit._cli import console, options
from stskit._cli.options import Option, UsageError, add_group
from stskit._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["before_double_dash", "parse", "parser"]

# What other tools call it, above all the AWS CLI: the option here if there is one, and the answer.
_ELSEWHERE: Final = {
    "--role-session-name": ("--session-name", "use --session-name NAME"),
    "--duration-seconds": ("--duration", "use --duration TIME"),
    "--serial-number": ("--mfa-serial", "use --mfa-serial SERIAL"),
    "--mfa-code": ("--token-code", "use --token-code CODE, or leave it out: stskit asks for the code"),
    "--mfa-token": ("--token-code", "use --token-code CODE, or leave it out: stskit asks for the code"),
    "--policy": ("--policy-file", "use --policy-file FILE"),
    "--policy-arns": ("--policy-arn", "use --policy-arn ARN, once for each policy"),
    "--tags": ("--tag", "use --tag KEY=VALUE, once for each tag"),
    "--transitive-tag-keys": ("--transitive-tag", "use --transitive-tag KEY, once for each key"),
    "--web-identity-token": ("--oidc-token-file", "save the token and use --oidc-token-file FILE"),
    "--saml-assertion": ("--saml-file", "save the response and use --saml-file FILE"),
    "--output": ("", "use --json for JSON; --set-output FORMAT sets the output of a profile that stskit writes"),
    "--query": ("", "use --json and a program that selects from JSON"),
    "--ca-bundle": ("", "set AWS_CA_BUNDLE, or ca_bundle in the profile"),
    "--no-verify-ssl": ("", "TLS is always verified. For a CA of your own set AWS_CA_BUNDLE to its certificate file"),
    "--no-sign-request": ("", "leave it out: SAML and OIDC need no signature, all other calls do"),
    "--color": ("", "set NO_COLOR=1 for output without colours"),
}
_ANY_TEXT: Final = frozenset(
    {
        *(option.flag for option in (*options.PROOF, *options.ROLE) if option.reads_file),
        *("--mfa-command", "--external-id", "--tag", "--transitive-tag"),
        *_ELSEWHERE,  # the answer quotes no value
    }
)
_ROLE_ARN: Final = ("--role", "--role-arn", "--role-name")
_AMBIENT: Final = "(without any: what the AWS SDKs would find)"
_ASSUMING: Final = (
    (f"the proof {_AMBIENT}", options.PROOF),
    ("multi-factor authentication, for the first call", options.MFA),
    ("how the session of the last role shall be", options.ROLE),
    ("the call", options.CALL),
)
_RECIPES: Final = """\
in the place of aws sts assume-role-with-saml, -with-web-identity, assume-role,
and get-session-token with an MFA code:
  stskit assume --saml-file samlresponse.har --to-profile deploy
  stskit assume ROLE --oidc-token-file token --to-profile deploy
  stskit assume ROLE --profile base --to-profile deploy
  stskit assume --profile base --session-token --mfa-serial ARN --to-profile me
"""
_SHELLS: Final = """
for a shell:
  eval "$(stskit assume ROLE --to-shell)"
  stskit assume ROLE --to-shell fish | source
"""
_EXEC: Final = """\
the command comes after two dashes; signals and exit status are its own
(126 and 127: it could not be run):
  stskit exec ROLE --profile base -- aws s3 ls
  stskit exec --profile sso -- terraform plan
"""
_PROCESS: Final = """\
in ~/.aws/config, for every AWS SDK, the AWS CLI and Terraform:
  [profile deploy]
  credential_process = stskit process ROLE --profile base --cache
"""
_STATUS: Final = """
exit status:
  0  done                      4  a person has to sign in, or to give an MFA code
  1  doctor found a fault      5  STS refused
  2  invalid usage             6  STS did not answer
  3  no proof that can be used 7  the credentials could not be delivered
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
        """Whether roles are its arguments."""
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
        "assume a role, and put its credentials somewhere",
        (_ASSUMING[0], ("where the credentials go (one of the first four)", options.WHERE), *_ASSUMING[1:]),
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
        "assume a role, and print what an AWS SDK reads of a credential_process",
        _ASSUMING,
        _PROCESS,
    ),
    _Command(
        "whoami",
        "[--profile NAME | --keys-file FILE] [OPTIONS]",
        "show whose credentials those are, as STS sees them",
        ((f"whose credentials {_AMBIENT}", options.KEYS), ("the call", options.SERVER)),
    ),
    _Command(
        "doctor",
        "[PROOF] [OPTIONS]",
        "show what would happen, and what is wrong; without --run nothing is assumed",
        ((f"the proof to look at {_AMBIENT}", options.FILES), ("the call that would be made", options.DOCTOR)),
    ),
)


def parse(argv: Sequence[str]) -> Namespace:
    """Return what *argv* says; end the process after the help or the version. Raise `UsageError`.

    Beside the values there are: ``options``, the declarations of all options that the command has; ``argv``; and
    ``program``, the command that ``exec`` runs.
    """
    words = before_double_dash(argv)
    if words and os.path.isfile(words[0]):
        raise UsageError(
            f"{words[0]} is a file, and no command", remedy=f"what it offers is shown by: stskit roles {words[0]}"
        )
    _check_for_secrets(words)
    args, unknown = parser().parse_known_args(words)
    command = next(each for each in _COMMANDS if each.name == args.command)
    if unknown:
        raise _unknown(command, unknown)
    args.options, args.argv, args.program = command.options, list(argv), list(argv[len(words) + 1 :])
    return args


def _check_for_secrets(words: Sequence[str]) -> None:
    """Raise `UsageError` where a proof or keys stand in the place of another value, because errors quote that value.

    What names a file is checked where the file is read, and some values may be any text.
    """
    flag = ""
    for word in words:
        is_flag = word.startswith("--") and not word.startswith("---")  # a key begins with more
        flag, _, value = word.partition("=") if is_flag else (flag, "", word)
        kind = None if flag in _ANY_TEXT else secret_kind(value)
        if kind:
            raise UsageError(
                f"{flag or 'an argument'} cannot be {kind} ({len(value):,} characters)",
                remedy="save it in a file, and name the file: --oidc-token-file, --saml-file or --keys-file",
            )
        flag = flag if is_flag and "=" not in word else ""


def _unknown(command: _Command, words: Sequence[str]) -> UsageError:
    """Return the error for *words* that *command* does not take."""
    from difflib import get_close_matches

    see_help = f"see: stskit {command.name} --help"
    flag = next((word.split("=")[0] for word in words if word.startswith("-")), None)
    if flag in _ROLE_ARN and command.takes_roles:
        remedy = f"write the role without an option: stskit {command.name} ROLE ..."
        return UsageError(f"there is no option {flag}", remedy=remedy, option=flag)
    if flag:
        known = [option.flag for option in command.options]
        here, remedy = _ELSEWHERE.get(flag, ("", ""))
        if not remedy or here not in ("", *known):
            near = get_close_matches(flag, known, 1)
            remedy = f"is it {near[0]}?" if near else see_help
        return UsageError(f"there is no option {flag}", remedy=remedy, option=flag)
    text = " ".join(words)
    if command.name == "exec":
        return UsageError(f"the command to run comes after two dashes: -- {text}")
    remedy = f"is it --profile {text}?" if command.name in ("whoami", "doctor") else see_help
    return UsageError(f"{command.name} takes no {text!r}", remedy=remedy)


def before_double_dash(argv: Sequence[str]) -> Sequence[str]:
    """Return those of *argv* that are for stskit, without the command that ``exec`` runs."""
    return argv[: argv.index("--")] if "--" in argv and argv[0] == "exec" else argv


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise what is wrong as `UsageError`, so that it is shown as every other error is."""
        raise UsageError(f"{message}\n{self.format_usage().rstrip()}")


def parser() -> ArgumentParser:
    """Return the parser of ``stskit``."""
    top = _Parser(
        "stskit",
        usage=f"stskit [-h] [--version] {{{','.join(command.name for command in _COMMANDS)}}} ...",
        description="Temporary AWS credentials from a SAML response, an OIDC token or a profile, to wherever they go.",
        epilog=_RECIPES + _STATUS,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the version, and end")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True, prog="stskit")
    for command in _COMMANDS:
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
        made.add_argument("saml_file", metavar="FILE", help="the response, in whatever way it was saved")
    elif command.takes_roles:
        made.add_argument(
            "roles",
            nargs="*",
            metavar="ROLE",
            help="ARN of the role; several are a chain, from left to right. With --saml-file its name is enough, or "
            "none where the response offers one role only. Without a role: the credentials of --profile or "
            "--keys-file as they are, or those of --session-token",
        )
    for title, group in command.groups:
        add_group(made, title, group)
    add_group(made, "output", options.JSON)


class _Version(Action):
    """Print the version."""

    def __call__(self, parser: ArgumentParser, *_arguments: object) -> None:
        parser.exit(console.output(f"stskit {__version__}"))
