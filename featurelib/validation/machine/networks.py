"""TensorFlow: whether it loads, and on what it computes."""

from pathlib import Path

from featurelib.errors import DataError
from featurelib.validation.machine.check import Check, asked

ASK = """
import json, os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
for gpu in tf.config.list_physical_devices("GPU"):
    tf.config.experimental.set_memory_growth(gpu, True)
gpus = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")]
assert float(tf.reduce_sum(tf.matmul(tf.ones((64, 64)), tf.ones((64, 64))))) == 64.0 ** 3
print(json.dumps({"gpus": gpus, "version": tf.__version__}))
"""


def check_tensorflow() -> Check:
    """Return the devices that TensorFlow multiplies matrices on."""
    try:
        found = asked(ASK)
    except DataError as error:
        return Check("TensorFlow", "broken", str(error), "make setup; is the processor older than AVX?")
    if found["gpus"]:
        return Check("TensorFlow", "ok", f"{found['version']} on {', '.join(found['gpus'])}")
    if Path("/dev/nvidiactl").exists():
        fix = "it sees no card though there is one: pip install 'tensorflow[and-cuda]' into .venv"
        return Check("TensorFlow", "slow", f"{found['version']} on the CPU", fix)
    return Check("TensorFlow", "ok", f"{found['version']} on the CPU; no graphics card here")
