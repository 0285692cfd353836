"""The files under cluster/, checked against the schemas and loaders of their readers."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CLUSTER = ROOT / "cluster"


def loaded(name):
    return yaml.safe_load((CLUSTER / name).read_text())


def check_serve_config(config):
    """Check a config against Ray's schema, and its import path and arguments against the application."""
    from ray.serve.schema import ServeDeploySchema

    from serve import app

    (application,) = ServeDeploySchema.model_validate(config).applications
    module, _, builder = application.import_path.partition(":")

    assert module == app.__name__
    assert getattr(app, builder) is app.build_app
    settings = app.AppSettings(**application.args)
    assert settings.run.startswith("s3://")
    assert (settings.detector.replicas, settings.detector.max_replicas) == (2, 4)
    assert app.build_app.__annotations__["settings"] is app.AppSettings


def test_the_serve_config_is_valid():
    """Ray accepts the file and the application accepts its arguments."""
    check_serve_config(loaded("serve.yaml"))


def test_the_launcher_file_is_valid():
    """`ray up` accepts it; only worker groups run tasks, rendering uses spot nodes, and each node has the S3 role."""
    from ray.autoscaler._private.util import fill_node_type_min_max_workers, validate_config

    config = loaded("aws.yaml")
    validate_config({**config, "cluster_synced_files": [], "file_mounts_sync_continuously": False, "rsync_exclude": []})
    fill_node_type_min_max_workers(config)
    groups = config["available_node_types"]

    assert config["head_node_type"] in groups
    assert groups["head"]["resources"] == {"CPU": 0}
    assert groups["render"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert groups["train"]["resources"]["GPU"] == 1
    assert {group["node_config"]["IamInstanceProfile"]["Name"] for group in groups.values()} == {"featurelib-s3"}


@pytest.mark.parametrize(
    ("name", "kind", "place", "groups"),
    [
        ("cluster", "RayCluster", (), {"render": 16, "train": 8}),
        ("job", "RayJob", ("rayClusterSpec",), {"render": 16}),
        ("service", "RayService", ("rayClusterConfig",), {"serve": 8}),
    ],
)
def test_rays_autoscaler_accepts_the_kuberay_manifests(name, kind, place, groups):
    """It finds the head, the groups and their resources. Ray does not contain the operator's schema."""
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
    from ray.autoscaler._private.util import validate_config

    manifest = loaded(f"kuberay/{name}.yaml")
    spec = manifest["spec"]
    for part in place:
        spec = spec[part]
    config = _derive_autoscaling_config_from_ray_cr(
        {"metadata": {"name": "featurelib", "namespace": "default"}, "spec": spec}
    )
    types = config["available_node_types"]

    validate_config(config)
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", kind)
    assert spec["rayVersion"] == locked("ray")
    assert {group: types[group]["resources"]["CPU"] for group in groups} == groups
    assert types[config["head_node_type"]]["resources"]["CPU"] == 0
    assert types.get("train", {"resources": {"GPU": 1}})["resources"]["GPU"] == 1


def test_the_kuberay_job_and_service_are_valid():
    """The flags of the job exist, and the service has a valid Serve config."""
    from jobs.predict import PredictConfig

    entrypoint = loaded("kuberay/job.yaml")["spec"]["entrypoint"].split()
    flags = [word.removeprefix("--").replace("-", "_") for word in entrypoint if word.startswith("--")]
    assert entrypoint[:3] == ["python", "-m", "jobs.predict"]
    assert set(flags) <= set(PredictConfig.__dataclass_fields__)

    check_serve_config(yaml.safe_load(loaded("kuberay/service.yaml")["spec"]["serveConfigV2"]))


def locked(package):
    """Return the version of a package in the lock file."""
    return re.search(rf"^{package}(?:\[\w+\])?==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)[1]


def test_the_image_has_the_packages_of_ci():
    """The Dockerfile installs the lock file, the EGL packages of CI and a supported Python."""
    text = (CLUSTER / "Dockerfile").read_text()
    egl = {"libegl1", "libgl1-mesa-dri", "libgles2"}

    assert egl <= set(re.findall(r"[\w-]+", (ROOT / ".ci/run").read_text())) & set(text.split())
    assert "--requirement requirements.lock" in text
    assert re.search(r"^FROM python:3\.1[123]-", text, re.MULTILINE)


def test_the_local_head_creates_a_private_token(tmp_path):
    """It is readable by its owner only, reused by the next start, and never printed."""
    fake = tmp_path / "ray"
    fake.write_text('#!/bin/sh\necho "$RAY_AUTH_MODE" "$@"\n')
    fake.chmod(0o755)
    script = (CLUSTER / "local.sh").read_text().replace("exec ray", f"exec {fake}")
    token = tmp_path / "kept" / "token"
    environment = {**os.environ, "RAY_AUTH_TOKEN_PATH": str(token)}
    environment.pop("RAY_AUTH_MODE", None)
    outputs = [
        subprocess.run(["bash", "-c", script, str(CLUSTER / "local.sh"), "--num-cpus", "1"], env=environment,
                       capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]  # fmt: skip

    assert outputs[0] == outputs[1]
    assert "token start --head --block --disable-usage-stats --num-cpus 1" in outputs[0]
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert token.read_text() not in outputs[0]
