"""How each head is trained, by default and by measurement."""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """How to train. Rates and batch size are global: they do not depend on the number of workers.

    epochs: of both phases together. frozen_epochs: of the first, in which only the head trains.
    batch_size: over all workers. head_learning_rate, finetune_learning_rate: Adam's learning rate in each phase.
    least_steps: where `epochs` make fewer, there are more epochs, up to MOST_EPOCHS; 0 leaves it at them.
    steps: over which finetune_learning_rate first rises (for WARM_UP of them) and then falls along a cosine;
        0 holds it.
    patience: epochs without a better validation error.
    frozen_to: the backbone's layer up to which nothing trains in the second phase either.
    pretrained: the backbone has learnt something: its BatchNorm statistics and `frozen_to` are held.
    compiled: let XLA compile the step.
    """

    epochs: int = 60
    frozen_epochs: int = 15
    batch_size: int = 32
    head_learning_rate: float = 1e-3
    finetune_learning_rate: float = 1e-4
    least_steps: int = 0
    steps: int = 0
    patience: int = 15
    frozen_to: str | None = None
    pretrained: bool = True
    compiled: bool = False

    def phase(self, epoch: int) -> str:
        """Return the phase of an epoch: frozen or tune."""
        return "frozen" if self.pretrained and epoch < self.frozen_epochs else "tune"

    def for_samples(self, count: int) -> "Recipe":
        """Return the recipe for so many training samples: few of them come more often."""
        steps_an_epoch = max(1, count // self.batch_size)
        epochs = max(self.epochs, min(MOST_EPOCHS, math.ceil(self.least_steps / steps_an_epoch)))
        return replace(self, epochs=epochs, steps=epochs * count // self.batch_size if self.steps else 0)


MOST_EPOCHS = 40
"""To which few samples stretch a training: each epoch costs its validation and its checkpoint, about two seconds."""

WARM_UP = 0.05
"""Share of the steps in which the rate rises, where it then falls along a cosine."""

RECIPES = {
    "regression": Recipe(),
    "heatmap": Recipe(
        epochs=8, frozen_epochs=0, finetune_learning_rate=2e-3, least_steps=1200, steps=1, frozen_to="block_2_add"
    ),
}
"""What is trained by default; steps=1 asks for the cosine, whose length the data give.

heatmap, on 280 training heads at alpha 0.35 and 128 px: 2, 4 and 8 epochs left 0.67, 0.55 and 0.51 % of the width on
validation heads, the last in 1,287 steps, hence `least_steps`; to hold the backbone up to block_2_add, strides 2 and 4,
changed nothing but a third of the time."""
