import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from moodcurve import InputError
from moodcurve.errors import JobsKilled
from moodcurve.ray_cluster import ray_workers

PORT = "6399"

needs_ray = pytest.mark.skipif(not find_spec("ray"), reason="needs ray (200 MB), not installed")


@pytest.fixture(scope="module")
def address():
    program = str(Path(sys.executable).with_name("ray"))
    start = ["start", "--head", "--num-cpus=2", f"--port={PORT}", "--include-dashboard=false"]
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"PYTHONPATH": paths}
    subprocess.run([program, *start], check=True, capture_output=True, env=environment)
    yield f"ray:127.0.0.1:{PORT}"
    subprocess.run([program, "stop"], check=True, capture_output=True)


def squared(job, *shared):
    return job * job + sum(shared)


def one_dies(job):
    if job == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def divided(job):
    return 1 / job


@pytest.mark.skipif(bool(find_spec("ray")), reason="ray is installed")
def test_without_ray():
    with pytest.raises(InputError, match="needs Ray; run: pip install"), ray_workers("ray:auto"):
        pass


@needs_ray
@pytest.mark.filterwarnings("ignore")  # sockets that Ray keeps to the end
def test_jobs_on_ray(address):
    with ray_workers(address) as distribute:
        results = list(distribute(squared, range(20), 3, 4))
        assert sorted(results) == [(job, job * job + 7) for job in range(20)]
        with pytest.raises(ZeroDivisionError):
            list(distribute(divided, [1, 0]))
        done = []
        with pytest.raises(JobsKilled, match=r"^3: killed each worker that tried"):
            done.extend(distribute(one_dies, [0, 1, 2, 3]))
        done = []
        with pytest.raises(JobsKilled):
            for job, _ in distribute(one_dies, range(6)):
                done.append(job)
        assert sorted(done) == [0, 1, 2, 4, 5]


@needs_ray
def test_no_cluster():
    with pytest.raises(InputError, match="no Ray cluster answers"), ray_workers("ray:127.0.0.1:9"):
        pass
