"""The rounds, and the command line of nars with one more task."""

import sys

from experiments.faults.waiting import run_nars

if __name__ == "__main__":
    if sys.argv[1:2] in (["search"], ["worker"]):
        sys.exit(run_nars(sys.argv[1:]))
    from experiments.faults.rounds import main

    main()
