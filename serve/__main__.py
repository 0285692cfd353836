"""`featurelib serve`: the HTTP server of a run, on the cluster named by RAY_ADDRESS or on a local one."""

from dataclasses import dataclass

from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """What to serve, where, and to which clients.

    Attributes:
        run: Folder or s3:// URI of the run. Not needed to label a dataset.
        dataset: Folder or s3:// URI with the meshes; default: the dataset that was rendered.
        label: Let clients save labels to the dataset's landmarks.csv.
        host: Address to listen on; 0.0.0.0 is every address of this machine.
        port: TCP port.
        token: Require `Authorization: Bearer <token>`, with 8 characters or more. Other users of this machine can see
            flags; the variable FEATURELIB_TOKEN is safer. Default: no token is required.
        cors_origins: Origins whose web pages may send requests, such as https://studio.example.
        detector_replicas: Processes that hold the detectors.
        lifter_replicas: Processes that hold the lifters and refiners.
        renderer_replicas: Processes that prepare uploaded meshes, one mesh at a time each.
        max_body_mb: Largest body of a request, in MiB.
        max_faces: Most triangles of an uploaded mesh.
        max_pixels: Most pixels of an uploaded image.
        mesh_seconds: Time limit for preparing an uploaded mesh, in seconds.
        reload_seconds: Seconds between checks for newer models of the run; 0 never checks.
    """

    run: str | None = None
    dataset: str | None = None
    label: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    cors_origins: tuple[str, ...] = ()
    detector_replicas: int = 1
    lifter_replicas: int = 1
    renderer_replicas: int = 1
    max_body_mb: int = 32
    max_faces: int = 1_000_000
    max_pixels: int = 4096 * 4096
    mesh_seconds: float = 20.0
    reload_seconds: float = 30.0


def serve(config: ServeConfig | None = None) -> None:
    """Answer over HTTP until interrupted.

    Example: featurelib serve --run runs/heads --port 8000
    Example: featurelib serve --dataset scans --label
    """
    from serve.server import run  # imports take seconds; --help must not

    run(config or ServeConfig())


if __name__ == "__main__":
    cli.run(cli.single_command(serve, "serve"))
