"""Says when cron expressions are due, as two independent libraries see it.

Reads lines of tab-separated expression, zone, unix second and number of runs; answers each with the runs after that second
by cronsim, a tab, and those by crondst: unix seconds with commas between them, or why there are none.
"""

import signal
import sys
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from crondst import CronDst
from cronsim import CronSim


# Longer than any answer takes: one that runs away, as both do in some zones, is stopped and has said
# nothing.
PATIENCE = 1.0


def give_up(*_):
    raise TimeoutError("no answer")


signal.signal(signal.SIGALRM, give_up)


def runs(oracle, wanted):
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        return ",".join(str(round(run.timestamp())) for run in islice(oracle(), wanted))
    except Exception as error:  # An oracle that gives up has an opinion too: another one than a list of runs.
        return f"{type(error).__name__}: {error}".replace("\t", " ").replace("\n", " ")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


for line in sys.stdin:
    expression, zone, start, wanted = line.rstrip("\n").split("\t")
    start = datetime.fromtimestamp(int(start), ZoneInfo(zone))
    simulated = runs(lambda: CronSim(expression, start), int(wanted))
    calculated = runs(lambda: CronDst(expression).iter(start), int(wanted))
    sys.stdout.write(f"{simulated}\t{calculated}\n")
