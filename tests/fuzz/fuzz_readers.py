"""Fuzz the parsers of untrusted text: SAML responses, browser logs, tokens, cache entries and files that are changed.

    pip install -e '.[fuzz]'
    python tests/fuzz/fuzz_readers.py [--seconds 20] [saml browser-log jwt cache-entry credentials-file env-file]

Any input must be read, or raise a `StskitError`, within a second and 300 MB. A changed file must read as before, except
for the change. Each target runs for the given time in a separate process. A crash writes its input to ``crash-*`` in
the current folder, with exit status 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from base64 import b64encode
from importlib import import_module
from pathlib import Path

READERS = (
    "stskit.proofs.browser_log",
    "stskit.proofs.web_identity",
    "stskit.proofs.saml_encoding",
    "stskit.sinks.dot_env.env_file",
    "stskit.sinks.credentials_file.ini",
    "stskit.caches.entry",
)
DATA = Path(__file__).parent.parent / "data" / "saml"
XML = b"<p:Response xmlns:p='urn:oasis:names:tc:SAML:2.0:protocol' xmlns:a='urn:oasis:names:tc:SAML:2.0:assertion'/>"
HAR = b'{"log": {"entries": [{"startedDateTime": "2026-11-25T12:00:00Z", "request": {"url": "https://x", "postData":'
SEEDS = {
    "saml": [*(path.read_bytes() for path in sorted(DATA.glob("*.b64"))), XML, b64encode(XML), b"%2B%2F%3D"],
    "browser-log": [
        HAR + b'{"text": "RelayState=&SAMLResponse=QUJDRA%3D%3D"}}}]}}',
        HAR + b'{"params": [{"name": "SAMLResponse", "value": "QUJDRA=="}]}}}]}}',
        b"curl --data-raw 'SAMLResponse=QUJDRA%3D%3D&RelayState='",
        b'<!DOCTYPE html><input name="SAMLResponse" value="QUJDRA&#x3d;&#61;">',
    ],
    "cache-entry": [
        b'{"version": 1, "key": "k", "since": "2026-11-25T12:00:00+00:00", "credentials": {"access_key_id": "A", '
        b'"secret_access_key": "s", "session_token": "t", "expiration": "2026-11-25T13:00:00+00:00", '
        b'"account_id": null, "assumed_role_arn": null, "assumed_role_id": null, "source_identity": null, '
        b'"packed_policy_size": 6, '
        b'"subject": null, "issuer": null, "audience": null}}'
    ],
    "credentials-file": [path.read_bytes() for path in sorted(DATA.parent.glob("ini/*.ini"))],
    "env-file": [b'# note\nexport A=\'1\n2\'\nAWS_ACCESS_KEY_ID=old # mine\nB: "a\\"b"\n'],
    "jwt": [b"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIiwiZXhwIjoxLCJhdWQiOlsiYSJdfQ.c2ln", b"a.b.c", b"opaque"],
}


def properties(value: object) -> None:
    """Read all attributes of *value*."""
    from stskit.errors import StskitError

    for name, member in vars(type(value)).items():
        if isinstance(member, property):
            try:
                getattr(value, name)
            except StskitError:
                pass


def change(target: str, data: bytes) -> None:
    """Change a file with *data*, and read it with another reader. The change can be refused."""
    from configparser import RawConfigParser

    from stskit.errors import SinkError
    from stskit.sinks.credentials_file.ini import Ini
    from stskit.sinks.dot_env import env_file

    values = {"aws_access_key_id": "NEW", "aws_session_token": None}
    try:
        if target == "env-file":
            env_file.updated(data.decode("utf-8", "replace"), values)
            return
        data.decode()
        after = b"".join(Ini(data, {"dev"}).updated({"dev": values}))
    except (SinkError, UnicodeDecodeError):
        return
    sections = []
    for text in (data, after):
        parser = RawConfigParser()
        parser.read_string(text.decode().replace("\r\n", "\n"))
        sections.append({name: dict(parser[name]) for name in parser.sections()})
    old, new = sections
    if new.pop("dev")["aws_access_key_id"] != "NEW":
        raise AssertionError("what was written is not there")
    old.pop("dev", None)
    if old != new:
        raise AssertionError("something else has changed")


def look(target: str, data: bytes) -> None:
    """Use *data* as a caller does."""
    if target.endswith("-file"):
        change(target, data)
        return
    from stskit import SAMLAssertion, WebIdentityToken
    from stskit.caches import entry
    from stskit.errors import StskitError
    from stskit.proofs import browser_log

    if target == "cache-entry":  # which raises nothing at all
        entry.entry_from_bytes("k", data)
        entry.is_newer(data)
        return
    try:
        text = data.decode("utf-8", "replace")
        if target == "browser-log":
            browser_log.newest(text)
        properties(WebIdentityToken(text) if target == "jwt" else SAMLAssertion.from_text(text))
    except StskitError as error:
        if error.__context__ is not None or error.__cause__ is not None:
            raise AssertionError("an error keeps what it stands for") from None


def fuzz(target: str, options: list[str]) -> None:
    """Run until the time is over, and end the process."""
    import atheris

    with atheris.instrument_imports(include=["stskit"]):  # only what is imported here guides the fuzzer
        for reader in READERS:
            import_module(reader)
    atheris.Setup([sys.argv[0], *options], lambda data: look(target, data))
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20, help="for each target")
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(SEEDS)}; all without any")
    given = parser.parse_args()
    failed = []
    for target in given.targets or SEEDS:
        with tempfile.TemporaryDirectory() as corpus:
            for number, seed in enumerate(SEEDS[target]):
                (Path(corpus) / f"seed-{number}").write_bytes(seed)
            limits = [
                f"-max_total_time={given.seconds}",
                "-timeout=1",
                "-rss_limit_mb=300",
                "-max_len=20000",
                "-verbosity=0",
            ]
            command = [sys.executable, __file__, "--fuzz", target, *limits, "-print_final_stats=1", corpus]
            done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
        figures = dict(line.removeprefix("stat::").split(":") for line in done.stderr.splitlines() if "stat::" in line)
        runs, found = (int(figures.get(name, 0)) for name in ("number_of_executed_units", "new_units_added"))
        is_well = done.returncode == 0 and found > 0  # a fuzzer that finds nothing new at all is not guided
        print(f"{target}: {runs} inputs, {found} of them new ground, {'all well' if is_well else 'FAILED'}", flush=True)
        if not is_well:
            print(done.stderr[-4000:])
            failed.append(target)
    return bool(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fuzz"]:
        fuzz(sys.argv[2], sys.argv[3:])
    sys.exit(main())
