"""A program that writes credentials in child processes, which another program can trace or kill.

python writing.py PATH           reads profiles, one a line; for each, a child waits for a line, writes it, and reports
python writing.py PATH kill N    kills N children while they write, and reports the losses
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from datetime import UTC, datetime

from botocore.configloader import raw_config_parse

from stskit import Credentials
from stskit.errors import SinkError
from stskit.sinks import CredentialsFile

SECRET = "CANARY/secret"
DUE = datetime(2099, 1, 1, tzinfo=UTC)


def keys(number: int) -> Credentials:
    return Credentials(f"ASIA{number:08}", SECRET, f"token-of-{number}", DUE)


def write(path: str, profile: str, number: int = 0) -> str:
    try:
        keys(number).to(CredentialsFile(profile, path))
    except SinkError as error:
        return f"SinkError: {error}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "written"


def on_demand(path: str) -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            print(os.getpid(), flush=True)
            os.read(0, 1)  # Wait until the tracing process is ready.
            # One write call, because this process can be killed.
            os.write(1, f"{write(path, line.strip())}\n".encode())
            os._exit(0)
        os.waitpid(child, 0)
        print("end", flush=True)


def killing(path: str, times: int) -> None:
    chance = random.Random(1)
    torn = lost = left = 0
    done = 9
    start = time.perf_counter()
    for each in range(done + 1):
        write(path, "dev", each)
    some = time.perf_counter() - start  # the time of ten writes on this machine
    for number in range(times):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            for each in range(done + 1, done + 100):
                write(path, "dev", each)
                os.write(writer, each.to_bytes(4, "big"))
            os._exit(0)
        os.close(writer)
        time.sleep(chance.uniform(0, some))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        said = os.read(reader, 10_000)
        os.close(reader)
        done = int.from_bytes(said[-4:], "big") if said else done
        try:
            found = raw_config_parse(path)
        except Exception:
            torn += 1
            continue
        now = int(found["dev"]["aws_access_key_id"][4:]) if "dev" in found else -1
        whole = now < 0 or found["dev"]["aws_session_token"] == f"token-of-{now}"
        torn += not whole
        lost += now < done or "other" not in found
        done = max(now, done)
        if number % 50 == 49:
            write(path, "dev", done := done + 1)
            left += any(name.endswith(".tmp") for name in os.listdir(os.path.dirname(path)))
    print(torn, lost, left, done)


if __name__ == "__main__":
    os.makedirs(warm := os.path.join(os.path.dirname(path := sys.argv[1]), "warm"), exist_ok=True)
    write(os.path.join(warm, "up"), "dev")  # Import all modules first.
    killing(path, int(sys.argv[3])) if len(sys.argv) > 2 else on_demand(path)
