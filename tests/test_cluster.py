"""The files under cluster/, against the schemas of what reads them."""

from pathlib import Path

import yaml

CLUSTER = Path(__file__).parents[1] / "cluster"


def test_the_serve_config_is_rays_and_its_arguments_are_the_apps():
    """Ray's own schema takes the file, the import path leads to a typed builder, and that takes the arguments."""
    from ray.serve.schema import ServeDeploySchema

    from serve import app

    config = ServeDeploySchema.model_validate(yaml.safe_load((CLUSTER / "serve.yaml").read_text()))
    (application,) = config.applications
    module, _, builder = application.import_path.partition(":")

    assert module == app.__name__
    assert getattr(app, builder) is app.build_app
    assert app.AppSettings(**application.args).run.startswith("s3://")
    assert app.build_app.__annotations__["settings"] is app.AppSettings
