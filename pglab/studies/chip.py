"""The kernels that PyTorch and MKL take on this processor, which decide bits. No torch is needed to tell."""

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
CAPABILITIES = {"avx512": "AVX512", "avx2": "AVX2", "default": "DEFAULT"}  # values of ATEN_CPU_CAPABILITY
AVX512, AVX2 = frozenset({"avx512vl", "avx512bw", "avx512dq", "fma"}), frozenset({"avx2", "fma"})
NAMES = ("cpu capability", "chip", "MKL_CBWR")


def kernels(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Names what would decide the bits of a sum or product here and now.

    - `cpu capability`: of PyTorch's kernels, as `torch.backends.cpu.get_cpu_capability()` has it on x86: that of
      the chip, or what the variable ATEN_CPU_CAPABILITY says instead;
    - `chip`: its maker and its own capability, by which MKL chooses whatever that variable says;
    - `MKL_CBWR`: MKL's mode of reproducibility.
    """
    maker, own = _chip()
    asked = CAPABILITIES.get(variables.get("ATEN_CPU_CAPABILITY", "")) if own in CAPABILITIES.values() else None
    mode = variables.get("MKL_CBWR", "not set")
    return dict(zip(NAMES, (asked or own, f"{maker} {own}".strip(), mode), strict=True))


def _chip() -> tuple[str, str]:
    """Maker and capability; of a chip that is no x86, the kind of machine."""
    try:
        told = CPUINFO.read_text()
    except OSError:
        told = ""
    maker = re.search(r"^(?:vendor_id|CPU implementer)\s*:\s*(\S+)", told, re.MULTILINE)
    flags = re.search(r"^flags\s*:\s*(.+)", told, re.MULTILINE)
    has = set(flags[1].split()) if flags else set()
    own = "AVX512" if has >= AVX512 else "AVX2" if has >= AVX2 else "DEFAULT"
    return maker[1] if maker else "", own if flags else platform.machine()
