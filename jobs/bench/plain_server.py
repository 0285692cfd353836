"""A minimal server for comparison: FastAPI, one process, Keras `predict` on one image per request.

Predictions run in threads, so that the server decodes and answers during another request's forward pass.
"""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

from featurelib.geometry import PROJECTIONS


def plain_web(run: str, projection: str) -> FastAPI:
    """Return a server that answers a POST of a PNG to / with the predicted positions."""
    from featurelib.models.detector.detection import read_detection
    from featurelib.models.detector.files import read_landmarks, read_network
    from featurelib.models.detector.samples import as_rgb, decode_images
    from featurelib.models.keras_models import load_model

    model, landmarks = load_model(read_network(run, projection).keras), read_landmarks(run, projection)
    web = FastAPI()

    def find(png: bytes) -> list[list[float]]:
        images = decode_images([png], model.input_shape[1])
        outputs = model.predict(as_rgb(images).astype("float32"), verbose=0)
        named = outputs if isinstance(outputs, dict) else {"output": outputs}
        xy: list[list[float]] = read_detection(named, landmarks).xy.tolist()
        return xy

    @web.post("/")
    async def infer(request: Request) -> Any:
        return {"xy": await run_in_threadpool(find, await request.body())}

    return web


if __name__ == "__main__":
    run, projection, port = sys.argv[1:]
    assert projection in PROJECTIONS
    uvicorn.run(plain_web(run, projection), host="127.0.0.1", port=int(port), log_level="error")
