"""The commands for a shell set the variables to the exact bytes, and run no other command."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from traceback import TracebackException
from typing import Any

import pytest
from helpers import needs, reachable_text, unchecked
from other_identities import ALL

from stskit import Credentials
from stskit.errors import SinkError
from stskit.sinks import Shell, ShellExports

SESSION = Credentials("ASIANEW", "new/secret+", "IQoJb3JpZ2luX2Vj/A-Za+z0_9==", datetime(2099, 1, 2, tzinfo=UTC))
STATIC = Credentials("AKIANEW", "static/secret")
REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")
NASTY = (
    "it's",
    "''two''''",
    'a "word" and ";touch ran;"',
    "`touch ran`",
    "$(touch ran)",
    "$HOME ${HOME} $$ $?",
    "';touch ran;'",
    "{a,b};touch ran; #",
    "a; touch ran; b | touch ran & touch ran || touch ran && b",
    "<a >ran <(touch ran) (touch ran)",
    "! !! !$ !-1 !touch a!b!",
    "\\! \\!! \\\\! '!' \"!\"",
    "\\' \\\" \\` \\$(touch ran)",
    "at the end\\",
    "\\ \\\\ \\n \\t \\x41 \\101 \\c \\\\",
    "* ? [a-z]* {a,b} /*",
    "~:~root",
    "=ls:=ls",
    "# no comment #",
    "  blanks  before,  within  and  after  ",
    "\ttabs\t\tand\t",
    "lines\n\ntouch ran\n#\n",
    "\\\nafter\\\\\na backslash'\n!\n\\",
    "\r\nCRLF\r\r\n",
    "%HOME% %1 %s %%",
    "^touch^ran^ a^b",
    "-n --export -",
    "".join(map(chr, range(1, 32))) + "\x7f\x1b[31mred",
    "".join(map(chr, range(0x80, 0x180))),
    "\N{KEY}\N{MAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}\u2028\u2019\ufeff",
    "\ue000\uf600\uf601\uf6ff\uf73f\ufdd0\ufffd\uffff\U0010ffff",
    "a'\"\\! $`;\n" * 6_554,
)


SH_FAMILY = ("bash", "dash", "zsh", "ksh", "busybox")
BARE = {**dict.fromkeys(SH_FAMILY, "eval $(cat {})"), "fish": "eval (cat {})", "tcsh": "eval `cat {}`"}
DIALECTS: dict[str, Shell] = {**dict.fromkeys(SH_FAMILY, "sh"), "fish": "fish", "tcsh": "tcsh"}


def run(shell: str, script: str, *options: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run *script* with *shell* in this folder, without start files and with a small environment."""
    quiet = {"zsh": ["-f"], "fish": ["--no-config"], "tcsh": ["-f"], "busybox": ["ash"]}
    Path("script").write_text(script)
    needed = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LC_ALL": "C.UTF-8"}
    command = [needs(shell), *quiet.get(shell, []), *options, "script"]
    return subprocess.run(command, capture_output=True, env=needed | variables, check=False)


def told(file: str) -> dict[str, bytes]:
    """Return the AWS variables in the output of ``env -0``."""
    pairs = (each.partition(b"=") for each in Path(file).read_bytes().split(b"\0"))
    return {
        name.decode(): value for name, _, value in pairs if name.startswith((b"AWS", b"EC2_", b"GRANTED_", b"SAML2AWS"))
    }


def put(file: str, text: str) -> None:
    Path(file).write_bytes(text.encode())


def check_round_trips(shell: str, way: str) -> None:
    """Check that each difficult value reaches a child of *shell* unchanged, without other commands or output."""
    lines = []
    for number, value in enumerate(NASTY):
        sink = ShellExports(DIALECTS[shell], region=value)
        put(f"text{number}", unchecked(Credentials("AKIAEXAMPLE", "secret"), session_token=value).to(sink))
        lines.append(f"{way.format(f'text{number}')}\nenv -0 >got{number}\n")
    done = run(shell, "".join(lines), AWS_PROFILE="stale", AWS_SECURITY_TOKEN="stale")
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)
    for number, value in enumerate(NASTY):
        assert told(f"got{number}") == {
            "AWS_ACCESS_KEY_ID": b"AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": b"secret",
            **dict.fromkeys(("AWS_SESSION_TOKEN", *REGION), value.encode()),
        }
    assert not Path("ran").exists()


# what is set


@pytest.mark.debian
@pytest.mark.case("X1", "X6", "X7")
@pytest.mark.parametrize("shell", SH_FAMILY)
@pytest.mark.parametrize("way", ['eval "$(cat {})"', ". ./{}"])
def test_sh_shells_set_every_value_exactly(shell: str, way: str) -> None:
    """Shells of the sh family set every value to the exact bytes, and run nothing in it."""
    check_round_trips(shell, way)


@pytest.mark.debian
@pytest.mark.case("X2", "X6", "X7")
@pytest.mark.parametrize("way", ["source {}", "cat {} | source"])
def test_fish_sets_every_value_exactly(way: str) -> None:
    """Fish sets every value to the exact bytes, and runs nothing in it."""
    check_round_trips("fish", way)


@pytest.mark.debian
@pytest.mark.case("X3", "X6", "X7")
@pytest.mark.parametrize("before", ["", "set backslash_quote;"])
def test_tcsh_sets_every_value_exactly(before: str) -> None:
    """Tcsh sets every value to the exact bytes, and runs nothing in it."""
    check_round_trips("tcsh", f"{before} source {{}}")


@pytest.mark.debian
@pytest.mark.case("X5")
@pytest.mark.parametrize(
    ("shell", "way"), [*BARE.items(), ("tcsh", 'eval "`cat {}`"')], ids=[*BARE, "tcsh as documented"]
)
def test_values_of_sts_need_no_quotes_around_the_command(shell: str, way: str) -> None:
    """Without quotes around the command, values of STS are correct, and old variables are removed."""
    region = ShellExports(DIALECTS[shell], region="eu-west-1", expiration=True)
    put("session", SESSION.to(region))
    put("static", STATIC.to(ShellExports(DIALECTS[shell])))
    script = "".join(f"{way.format(name)}\nenv -0 >{name}.got\n" for name in ("session", "static"))
    done = run(shell, script, **dict.fromkeys(ALL, "stale"))
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)
    assert told("session.got") == {
        "AWS_ACCESS_KEY_ID": b"ASIANEW",
        "AWS_SECRET_ACCESS_KEY": b"new/secret+",
        "AWS_SESSION_TOKEN": b"IQoJb3JpZ2luX2Vj/A-Za+z0_9==",
        "AWS_CREDENTIAL_EXPIRATION": b"2099-01-02T00:00:00Z",
        **dict.fromkeys(REGION, b"eu-west-1"),
    }
    assert told("static.got") == {
        "AWS_ACCESS_KEY_ID": b"AKIANEW",
        "AWS_SECRET_ACCESS_KEY": b"static/secret",
        **dict.fromkeys(REGION, b"eu-west-1"),
    }


@pytest.mark.debian
@pytest.mark.case("X5", "X6")
@pytest.mark.parametrize("shell", BARE)
def test_without_quotes_no_value_runs_a_command(shell: str) -> None:
    """Without quotes around the command, no value runs a command."""
    for value in NASTY:
        put(
            "text",
            unchecked(Credentials("A", "s"), access_key_id=value, secret_access_key=value, session_token=value).to(
                ShellExports(DIALECTS[shell], region=value)
            ),
        )
        run(shell, BARE[shell].format("text"))
        assert not Path("ran").exists()


@pytest.mark.debian
@pytest.mark.case("X6")
@pytest.mark.parametrize("shell", BARE)
def test_the_trap_detects_a_command(shell: str) -> None:
    """The trap of these tests detects a command that runs."""
    put("text", ShellExports(DIALECTS[shell]).unset() + "touch ran;\n")
    run(shell, BARE[shell].format("text"))
    assert Path("ran").exists()


# what is taken out


@pytest.mark.debian
@pytest.mark.case("X8")
@pytest.mark.parametrize("shell", BARE)
@pytest.mark.parametrize("before", [{}, dict.fromkeys((*ALL, *REGION), "stale")], ids=["unset", "set"])
def test_removing_a_variable_that_is_not_set_succeeds(shell: str, before: dict[str, str]) -> None:
    """Each command that removes a variable succeeds silently if the variable is not set."""
    text = ShellExports(DIALECTS[shell], region="eu-west-1").unset()
    check = {"fish": "or echo $status\n", "tcsh": ""}.get(shell, "")
    put("text", text.replace("\n", f"\n{check}"))
    source = "source text" if shell in ("fish", "tcsh") else ". ./text"
    options = {"fish": [], "tcsh": ["-e"]}.get(shell, ["-eu"])
    done = run(shell, f"{source}\nenv -0 >got\n", *options, **before)
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)
    assert told("got") == {}


@pytest.mark.debian
@pytest.mark.case("X8")
def test_universal_variables_of_fish_stay() -> None:
    """Universal variables of fish stay unchanged."""
    command = [needs("fish"), "-c"]
    small = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    subprocess.run([*command, "set -Ux AWS_PROFILE mine"], env=small, check=True)
    put("text", SESSION.to(ShellExports("fish")) + ShellExports("fish").unset())
    script = "source text; set -qg AWS_PROFILE AWS_SESSION_TOKEN; or env -0 >got"
    subprocess.run([*command, script], env={**small, "AWS_PROFILE": "stale"}, check=True)
    assert told("got") == {"AWS_PROFILE": b"mine"}


# the text


TEXTS: dict[tuple[Shell, ...], tuple[str, str]] = {
    ("sh", "bash", "dash", "ksh", "zsh"): ("unset {};", "export {}='{}';"),
    ("fish",): ("set -eg {}; or true;", "set -gx {} '{}';"),
    ("csh", "tcsh"): ("unsetenv {};", "setenv {} '{}';"),
    ("powershell", "pwsh"): ("$Env:{} = $null;", "$Env:{} = '{}';"),
}


@pytest.mark.case("X8")
@pytest.mark.parametrize(("shell", "unset", "sets"), [(name, *text) for names, text in TEXTS.items() for name in names])
def test_old_variables_are_removed_first(shell: Shell, unset: str, sets: str) -> None:
    """The commands first remove old variables. They set the region only if there is one."""
    wanted = {"AWS_ACCESS_KEY_ID": "AKIANEW", "AWS_SECRET_ACCESS_KEY": "static/secret", **dict.fromkeys(REGION, "r")}
    gone = [unset.format(name) for name in (*ALL, *REGION)]
    sink = ShellExports(shell, region="r")
    assert sorted(sink.unset().splitlines()) == sorted(gone)
    text = STATIC.to(sink)
    assert text.startswith(sink.unset())
    assert text[len(sink.unset()) :].splitlines() == [sets.format(*pair) for pair in wanted.items()]
    assert text.endswith("\n")
    assert "2099" not in SESSION.to(sink)
    assert not any(name in ShellExports(shell).unset() + STATIC.to(ShellExports(shell)) for name in REGION)


@pytest.mark.parametrize(
    ("shell", "quoted"),
    [
        ("sh", "'it'\"'\"'s \\ !\n'"),
        ("fish", "'it\\'s \\\\ !\n'"),
        ("tcsh", "'it'\\''s '\\\\' '\\!'\\\n'"),
    ],
)
def test_each_shell_gets_its_own_quotes(shell: Shell, quoted: str) -> None:
    """Each shell gets its own quotes for quotes, backslashes and line ends."""
    assert f" {quoted};\n" in unchecked(Credentials("AKIAEXAMPLE", "s"), access_key_id="it's \\ !\n").to(
        ShellExports(shell)
    ).replace("_ID=", "_ID ")


@pytest.mark.case("X4")
def test_powershell_doubles_its_five_quotes() -> None:
    """https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_quoting_rules."""
    value = "it's \u2018\u2019 \u201a\u201b $(x) `\" \\ %x% ''"
    quoted = "'it''s \u2018\u2018\u2019\u2019 \u201a\u201a\u201b\u201b $(x) `\" \\ %x% '''''"
    text = unchecked(Credentials("AKIAEXAMPLE", "secret"), session_token=value).to(
        ShellExports("powershell", region=value)
    )
    for name in ("AWS_SESSION_TOKEN", *REGION):
        assert f"\n$Env:{name} = {quoted};\n" in text


# what is refused


EVERYWHERE = ("\0", "\ud800", "\udcff", "\udfff")
CODE_PAGES = ("\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\xd1", "\u201c", "\U0001f511")
REFUSED = {
    **dict.fromkeys(("sh", "bash", "dash", "ksh", "zsh", "fish", "csh", "tcsh"), EVERYWHERE),
    **dict.fromkeys(("powershell", "pwsh"), (*EVERYWHERE, *CODE_PAGES)),
}


@pytest.mark.case("X4")
@pytest.mark.parametrize(("shell", "part"), [(shell, part) for shell, parts in REFUSED.items() for part in parts])
def test_a_value_that_a_shell_cannot_quote_is_refused(shell: Shell, part: str) -> None:
    """A value that a shell cannot quote is an error without the value."""
    bad = f"CANARY{part}CANARY"
    for keys, region, name in (
        (unchecked(Credentials("A", "CANARY"), access_key_id=part), None, "AWS_ACCESS_KEY_ID"),
        (unchecked(Credentials("A", "CANARY"), secret_access_key=bad), None, "AWS_SECRET_ACCESS_KEY"),
        (unchecked(Credentials("A", "CANARY"), session_token=bad), None, "AWS_SESSION_TOKEN"),
        (Credentials("A", "CANARY"), part, "AWS_REGION"),
    ):
        with pytest.raises(
            SinkError, match=f"^{name} has characters that {shell} cannot quote. Use another sink"
        ) as caught:
            keys.to(ShellExports(shell, region=region))
        assert (caught.value.variable, caught.value.remedy) == (name, "Use another sink.")
        assert "CANARY" not in reachable_text(caught.value)
        frames = TracebackException.from_exception(caught.value, capture_locals=True).stack
        assert "CANARY" not in str([frame.locals for frame in frames if frame.filename != __file__])


def test_an_unknown_shell_is_refused() -> None:
    """The error for an unknown shell lists the supported ones."""
    other: Any = "elvish"
    with pytest.raises(
        SinkError, match=r"^'elvish' is not a supported shell. Pass one of sh, bash, .*, pwsh.$"
    ) as caught:
        ShellExports(other)
    assert caught.value.option == "shell"
