"""Compile features/kernels.c as moodcurve is built: one shared library, no Python in it.

Any C compiler does: $CC, or cc, gcc or clang. A wheel is therefore bound to a platform but to no
version of Python.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLAGS = ["-O3", "-std=c99", "-fPIC", "-shared", "-fvisibility=hidden"]
FLAGS += ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]  # the same everywhere; fast
FLAGS += ["-Wno-psabi"]  # vectors go between functions of this file only


class Kernels(BuildHookInterface):
    """Hatchling calls `initialize` before it packs a wheel, an editable one included."""

    PLUGIN_NAME = "custom"

    def initialize(self, version, build_data):
        """Compile the library and mark the wheel as bound to this platform."""
        folder = Path(self.root) / "src" / "moodcurve" / "features"
        library = folder / ("_kernels.dll" if sys.platform == "win32" else "_kernels.so")
        command = [*compiler(), *FLAGS, "-o", str(library), str(folder / "kernels.c"), "-lm"]
        subprocess.run(command, check=True)
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"].append(str(library.relative_to(self.root)))


def compiler():
    """The command of a C compiler, as a list."""
    named = shlex.split(os.environ.get("CC", ""))
    found = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if not named and not found:
        sys.exit("moodcurve needs a C compiler to be built: install gcc or clang, or set CC")
    return named or [found]
