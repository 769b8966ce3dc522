"""`python -m gansmith`, which `torchrun -m gansmith` starts too."""

import os
import sys

from gansmith.cli.main import main


def leave(code: int) -> None:
    """End the process with this exit code.

    Among ranks Python is not taken down piece by piece: a thread of gloo may drop the last of a collective's
    tensors just then, wants the interpreter's lock for it, and aborts the process after all is done.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    leave(main())
