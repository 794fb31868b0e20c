"""Damaged media files through the engine's decoder: ``python -m tests.fuzz --count 2000``.

Every file is made from its seed and number, so what is found can be made again:
``--only 17,230 --keep FOLDER`` runs and keeps just those.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.run import BAD, run, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="numbers of cases, with commas")
    parser.add_argument("--keep", type=Path, help="folder for the files that went badly")
    arguments = parser.parse_args()
    numbers = (
        [int(number) for number in arguments.only.split(",")]
        if arguments.only
        else range(arguments.count)
    )
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    verdicts = []
    with tempfile.TemporaryDirectory() as folder:
        for one in run(numbers, arguments.seed, Path(folder), arguments.keep):
            verdicts.append(one)
            if arguments.only or one.outcome in BAD:
                kind = f"{one.case.form}, {one.case.mutation}"
                print(f"{one.case.number}: {kind}: {one.outcome}: {one.text}", flush=True)
    took = time.monotonic() - begun
    print("\n".join(table(verdicts, lambda case: (case.form, case.mutation))))
    print()
    print("\n".join(table(verdicts, lambda case: (case.form,))))
    print()
    print("\n".join(table(verdicts, lambda case: (case.mutation,))))
    counts = Counter(one.outcome for one in verdicts)
    bad = sum(counts[outcome] for outcome in BAD)
    late = [one for one in verdicts if one.answer and one.answer.heard]
    moved = sum(
        one.outcome == "incomplete" and one.answer.heard.late_s > one.answer.heard.found_s / 10
        for one in late
        if one.answer and one.answer.heard and one.case.mutation != "spliced"
    )
    print(f"\n{len(verdicts)} files, {bad} bad, in {took:.0f} s; seed {arguments.seed}.")
    print(
        f"Incomplete ones (spliced apart) with over a tenth of what is found off its time: {moved}"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
