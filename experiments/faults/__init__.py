"""Is anything lost, or trained twice, when parts of a search die? Each module is a command with an answer.

    python -m experiments.faults               100 rounds in which workers, or all processes, are killed
    python -m experiments.faults.database      PostgreSQL is restarted three times and closed for five minutes
    python -m experiments.faults.endings       what each way to stop a search prints, and its exit code
    python -m experiments.faults.hosts         two hosts, in network namespaces, on one PostgreSQL
    python -m experiments.faults.two_workers   candidates a minute of two workers on two cores, beside one

All but the last two train nothing: their trainings wait for a second or two.
"""

from experiments.faults.waiting import Waiting, search_command

__all__ = ["Waiting", "search_command"]
