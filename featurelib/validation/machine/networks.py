"""TensorFlow: whether it works, and on which devices."""

from pathlib import Path

from featurelib.errors import DataError
from featurelib.validation.machine.check import Check, run_code

CODE = """
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
    """Multiply matrices with TensorFlow, and name its devices."""
    try:
        found = run_code(CODE)
    except DataError as error:
        return Check("TensorFlow", "broken", str(error), "make setup; TensorFlow needs a processor with AVX")
    if found["gpus"]:
        return Check("TensorFlow", "ok", f"{found['version']} on {', '.join(found['gpus'])}")
    if Path("/dev/nvidiactl").exists():
        fix = "it does not see the graphics card: pip install 'tensorflow[and-cuda]' into .venv"
        return Check("TensorFlow", "slow", f"{found['version']} on the CPU", fix)
    return Check("TensorFlow", "ok", f"{found['version']} on the CPU; no graphics card here")
