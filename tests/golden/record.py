"""`python -m tests.golden.record`: stores the bits of every golden study that has none yet on this machine.

What is stored stays: a number that changes is a defect of the change, unless the CHANGELOG says why it must.
Other instruction sets are recorded with `ATEN_CPU_CAPABILITY=avx2` or `default` before the command.
"""

import json

from tests.golden.studies import HASHES, STUDIES, bits, machine


def main() -> None:
    """Adds to `hashes.json`; never changes an entry."""
    known = json.loads(HASHES.read_text()) if HASHES.exists() else {}
    here = known.setdefault(machine(), {})
    for name, overrides in STUDIES.items():
        if name not in here:
            here[name] = bits(overrides)
            print(f"{machine()}: {name}: {len(here[name])} runs", flush=True)
    HASHES.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
