"""What all tests have in common: one thread, in this process and in those that it starts.

Tiny tensors gain nothing from threads, and lose much on a machine that is busy with something else. By the
environment, since torch's own setting does not reach new threads; so before torch is first imported.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
