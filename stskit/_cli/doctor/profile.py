"""What `stskit doctor` can tell of a profile from the files alone: where its credentials would come from, by way of
which other profiles, and what would go wrong. No program is run and nothing is asked.

The order is botocore's: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from attrs import evolve, field, frozen

from stskit._cli.doctor.findings import Finding
from stskit._cli.doctor.sso import of_session
from stskit._cli.formatting import listed

__all__ = ["NOTHING", "Profiles", "Step", "steps_of", "unused"]

NOTHING: Final = "nothing"
_KEYS: Final = ("aws_access_key_id", "aws_secret_access_key")
_SOURCES: Final = {
    "Environment": "the keys in the environment",
    "Ec2InstanceMetadata": "those of the instance",
    "EcsContainer": "those of the container",
}
_MARKS: Final = {  # by which botocore takes a kind of source, in its order; keys are there twice, by their file
    "web_identity_token_file": "token",
    "sso_account_id": "sso",
    "sso_role_name": "sso",
    "login_session": "login",
    "credential_process": "process",
    "aws_access_key_id": "keys",
}
_PLAIN: Final = {"login": "has signed in with `aws login`", NOTHING: "names no credentials"}
_PLAIN_NAME: Final = re.compile(r"[\w./~+-]+")
_OTHER_SOURCES: Final = ("--saml-file", "--oidc-token-file", "--from-env", "--keys-file")


@frozen
class Profiles:
    """All that both files say, as botocore puts it together; the sections of the credentials file alone; the name that
    counts where none is given; and what time it is.
    """

    config: Mapping[str, Any] = field(repr=False)
    credentials: Mapping[str, Any] = field(repr=False)
    ambient: str
    now: datetime

    @property
    def names(self) -> list[str]:
        """Of all profiles."""
        return sorted(self.config["profiles"])

    def settings(self, profile: str) -> dict[str, str]:
        """The options of *profile*; those with an indented block are none that matter here."""
        return _texts(self.config["profiles"].get(profile, {}))

    def session(self, name: str | None) -> dict[str, str] | None:
        """The options of an SSO session."""
        found = self.config.get("sso_sessions", {}).get(name)
        return None if found is None else _texts(found)


@frozen
class Step:
    """One profile on the way: what `kind` of source it has, a `phrase` that continues its name, and what is wrong."""

    profile: str
    kind: str
    phrase: str
    following: str | None = None
    faults: tuple[Finding, ...] = ()
    unused: tuple[str, ...] = ()
    """Options that name another source, and do not count."""
    token_file: str | None = None


def steps_of(profile: str, files: Profiles) -> list[Step]:
    """*profile*, and those that its credentials come from, one after the other, until one has its own."""
    steps: list[Step] = []
    following: str | None = profile
    while following is not None:
        step = _step(following, files, first=not steps)
        before = [each.profile for each in steps]
        if following in before and not (following == before[-1] and step.kind == "keys" and before == [following]):
            steps[-1] = evolve(steps[-1], faults=(*steps[-1].faults, _loop([*before, following])))
            break
        steps.append(step)
        following = step.following
    return steps


def unused(steps: list[Step]) -> Iterator[Finding]:
    """Notes about options that another one hides."""
    for step in steps:
        if step.unused:
            text = f"The profile {step.profile!r} has {listed(list(step.unused))} too, which will not be used"
            yield Finding(f"profile {step.profile}", "note", text, "remove what is not meant")


def _texts(options: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in options.items() if isinstance(value, str)}


def _step(name: str, files: Profiles, *, first: bool) -> Step:
    settings = files.settings(name)
    kind = _kind(name, settings, files, first=first)
    build = {"role": _role, "token": _token, "sso": _sso, "process": _process, "keys": _keys}.get(kind)
    step = build(name, settings, files) if build else Step(name, kind, _PLAIN[kind])
    if kind == NOTHING and not first:
        step = evolve(step, faults=(_fault(name, "is asked for credentials, and names none", _others(files)),))
    own = "keys" if kind == "role" and step.following == name else kind  # it has the keys for its own role
    unused = [mark for mark, its in _MARKS.items() if mark in settings and its not in (kind, own)]
    return evolve(step, unused=tuple(unused))


def _kind(name: str, settings: Mapping[str, str], files: Profiles, *, first: bool) -> str:
    has_keys = any(key in settings for key in _KEYS)
    if "role_arn" in settings and "web_identity_token_file" not in settings and (first or not has_keys):
        return "role"
    for mark, kind in _MARKS.items():
        if kind == "login" and _KEYS[0] in files.credentials.get(name, {}):
            return "keys"  # those of the credentials file come before what follows, those of the config file last
        if settings.get(mark) if kind == "token" else mark in settings:
            return kind
    return NOTHING


def _role(name: str, settings: Mapping[str, str], files: Profiles) -> Step:
    by, source = settings.get("source_profile"), settings.get("credential_source")
    phrase = f"assumes {settings['role_arn']} with "
    if (by is None) == (source is None):
        many = "both source_profile and credential_source" if by else "neither source_profile nor credential_source"
        fault = _fault(name, f"has a role_arn and {many}", "give it one of the two")
        return Step(name, "role", f"{phrase}credentials that are not told", faults=(fault,))
    mfa = f", and asks for the MFA code of {settings['mfa_serial']}" if "mfa_serial" in settings else ""
    if by is None:
        known = _SOURCES.get(source or "")
        fault = _fault(name, f"has the credential_source {source!r}", f"write one of {', '.join(_SOURCES)}")
        return Step(name, "role", f"{phrase}{known or 'no known source'}{mfa}", faults=() if known else (fault,))
    phrase = f"{phrase}the profile {by!r}{mfa}"
    if by in files.config["profiles"]:
        return Step(name, "role", phrase, by)
    fault = _fault(name, f"has the source_profile {by!r}, which does not exist", _others(files))
    return Step(name, "role", phrase, faults=(fault,))


def _token(name: str, settings: Mapping[str, str], _files: Profiles) -> Step:
    path, role = settings["web_identity_token_file"], settings.get("role_arn")
    fault = _fault(name, "has a web_identity_token_file and no role_arn", "add the role_arn")
    phrase = f"assumes {role or 'a role'} with the token in {path}"
    return Step(name, "token", phrase, faults=() if role else (fault,), token_file=os.path.expanduser(path))


def _sso(name: str, settings: Mapping[str, str], files: Profiles) -> Step:
    session = settings.get("sso_session")
    given = {**settings, **(files.session(session) or {})}
    needed = ("sso_start_url", "sso_region", "sso_account_id", "sso_role_name")
    phrase = f"signs in by SSO as {given.get('sso_role_name')} of the account {given.get('sso_account_id')}"
    if session and files.session(session) is None:
        fault = _fault(name, f"has the sso_session {session!r}, which does not exist", "run: aws configure sso")
    elif missing := [each for each in needed if each not in given]:
        fault = _fault(name, f"signs in by SSO and has no {listed(missing)}", "run: aws configure sso")
    else:
        found = of_session(name, session or given["sso_start_url"], files.now, can_renew=session is not None)
        return Step(name, "sso", phrase, faults=(found,))
    return Step(name, "sso", phrase, faults=(fault,))


def _process(name: str, settings: Mapping[str, str], files: Profiles) -> Step:
    import shlex
    import shutil

    words: list[str] = []
    with suppress(ValueError):  # a quote that does not end
        words = shlex.split(settings["credential_process"])
    if not words:
        fault = _fault(name, "has a credential_process that is no command", "correct it")
        return Step(name, "process", "takes what a program prints", faults=(fault,))
    # A first word of another kind may be what was meant for a shell, with a secret in it.
    program = f"the program {words[0]}" if _PLAIN_NAME.fullmatch(words[0]) else "a program"
    phrase = f"takes what {program} prints, which is not run here"
    if shutil.which(os.path.expanduser(words[0])) is None:
        text = f"has a credential_process with {program}, which does not exist or cannot be executed"
        return Step(name, "process", phrase, faults=(_fault(name, text, "install it, or correct its path"),))
    return Step(name, "process", phrase, _asks_for(words, files))


def _keys(name: str, settings: Mapping[str, str], files: Profiles) -> Step:
    where = "credentials" if _KEYS[0] in files.credentials.get(name, {}) else "config"
    token = settings.get("aws_session_token") or settings.get("aws_security_token")
    phrase = f"has {'temporary' if token else 'long-term'} keys in the {where} file"
    faults = []
    if not settings.get("aws_secret_access_key"):
        faults.append(_fault(name, "has an access key and no aws_secret_access_key", "add it, or remove the key"))
    elif settings[_KEYS[0]].startswith("ASIA") and not token:
        faults.append(_fault(name, "has a temporary key and no aws_session_token", "get a whole set of keys"))
    return Step(name, "keys", phrase, faults=tuple(faults))


def _asks_for(words: list[str], files: Profiles) -> str | None:
    """The profile whose credentials a command asks for, where it is stskit or the AWS CLI; None where it is another."""
    names = [os.path.basename(word) for word in words]
    ours = "stskit" in names and "process" in names and not set(_OTHER_SOURCES) & {each.split("=")[0] for each in words}
    if not (ours or ("aws" in names and "export-credentials" in names)):
        return None
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("--profile"):
            return word.partition("=")[2] or following
    return None if os.environ.get("AWS_ACCESS_KEY_ID") else files.ambient


def _loop(path: list[str]) -> Finding:
    text = f"gets its credentials from itself, without end: {' -> '.join(path)}"
    return _fault(path[-1], text, "let one of them start from another profile")


def _fault(profile: str, what: str, remedy: str) -> Finding:
    return Finding(f"profile {profile}", "wrong", f"The profile {profile!r} {what}", remedy)


def _others(files: Profiles) -> str:
    return f"correct the name; those there are: {listed(files.names) or 'none'}"
