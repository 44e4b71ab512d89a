"""Compile the C of the package as moodcurve is built: shared libraries, no Python in them.

One for every processor; on x86-64 two more for those of 2013 and 2017 on, which take eight and
sixteen floats at once. Which one is used is seen when it is loaded (compiled.py).

Any C compiler does: $CC, or cc, gcc or clang. A wheel is therefore bound to a platform but to no
version of Python.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLAGS = ["-O3", "-std=c99", "-fPIC", "-shared", "-fvisibility=hidden"]
FLAGS += ["-fno-math-errno", "-fno-trapping-math"]  # fast, and the same values
FLAGS += ["-Wno-psabi"]  # vectors go between functions of one file only
# features are the same everywhere; training may multiply and add at once, which rounds otherwise
SOURCES = {"features/kernels.c": "-ffp-contract=off", "training/cells.c": "-ffp-contract=fast"}
GENERATIONS = {"_v3": "-march=x86-64-v3", "_v4": "-march=x86-64-v4"}


class Kernels(BuildHookInterface):
    """Hatchling calls `initialize` before it packs a wheel, an editable one included."""

    PLUGIN_NAME = "custom"

    def initialize(self, version, build_data):
        """Compile the libraries and mark the wheel as bound to this platform."""
        package = Path(self.root) / "src" / "moodcurve"
        suffix = ".dll" if sys.platform == "win32" else ".so"
        x86 = platform.machine().lower() in ("x86_64", "amd64") and sys.maxsize > 2**32
        for source, rounding in SOURCES.items():
            for name, flag in {"": None, **(GENERATIONS if x86 else {})}.items():
                path = package / source
                library = path.with_name(f"_{path.stem}{name}{suffix}")
                flags = [*FLAGS, rounding, *([flag] if flag else [])]
                command = [*compiler(), *flags, "-o", str(library), str(path), "-lm"]
                subprocess.run(command, check=True)
                build_data["artifacts"].append(str(library.relative_to(self.root)))
        target = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{target}"


def compiler():
    """The command of a C compiler, as a list."""
    named = shlex.split(os.environ.get("CC", ""))
    found = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if not named and not found:
        sys.exit("moodcurve needs a C compiler to be built: install gcc or clang, or set CC")
    return named or [found]
