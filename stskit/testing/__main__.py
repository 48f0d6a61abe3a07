"""``python -m stskit.testing [FOLDER]``: run a practice AWS on this machine until Ctrl-C."""

import sys

from stskit.testing.practice_server import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
