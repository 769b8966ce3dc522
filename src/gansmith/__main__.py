"""`python -m gansmith`, which `torchrun -m gansmith` starts too."""

import sys

from gansmith.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
