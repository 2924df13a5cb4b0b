"""How a recipe changes weights: optimizer, learning rate, average, and the update that joins them."""

from nars.training.updates.averages import Averaging, averaged
from nars.training.updates.optimizers import optimizer
from nars.training.updates.rates import Rates, learning_rate, scheduled, set_learning_rate
from nars.training.updates.update import Update

__all__ = [
    "Averaging",
    "Rates",
    "Update",
    "averaged",
    "learning_rate",
    "optimizer",
    "scheduled",
    "set_learning_rate",
]
