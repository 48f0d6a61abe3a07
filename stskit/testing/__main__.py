"""``python -m stskit.testing [FOLDER]``: a practice AWS on this machine, until Ctrl-C."""

import sys

from stskit.testing._practice import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
